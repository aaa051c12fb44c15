//! The options of a request, RFC 2132, walked once: what the decision needs of them, and nothing that it would
//! have to guess. Anything unusual — an option twice, a wrong length, no END — is an error here; user space,
//! which may be lenient, reads options by its own rules.

use super::{OPTIONS_MAX, Span, fresh, octet};
use crate::{
    abi::{CLASS_COMPARED, CLASS_ECHOED, CLASS_IDENTITY, CLASS_IGNORED, CLASS_SELECTOR, Classes, Ip},
    reason::Reason,
    reply::Echoed,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Option codes that this crate knows by name.
pub mod code {
    /// Filler between options.
    pub const PAD: u8 = 0;
    /// The address that the client asks for.
    pub const REQUESTED_ADDRESS: u8 = 50;
    /// Lease time.
    pub const LEASE_TIME: u8 = 51;
    /// What a message is.
    pub const MESSAGE_TYPE: u8 = 53;
    /// The server that is meant or that answers.
    pub const SERVER_ID: u8 = 54;
    /// The longest message that the client takes.
    pub const MAX_MESSAGE_SIZE: u8 = 57;
    /// Client identifier.
    pub const CLIENT_ID: u8 = 61;
    /// Relay agent information, RFC 3046.
    pub const RELAY_INFO: u8 = 82;
    /// The end of the options.
    pub const END: u8 = 255;
}

/// The value of option 53 in a DHCPREQUEST.
pub const DHCPREQUEST: u8 = 3;

/// Steps of a walk, pads and END included: a request with more options passes.
pub const STEPS_MAX: usize = 40;
/// Options of a request that can be selectors.
pub const SELECTOR_OPTIONS_MAX: usize = 4;
/// Options of a request that can be compared with stored bytes.
pub const COMPARED_OPTIONS_MAX: usize = 2;

/// An option whose class wants its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Kept {
    /// Its code.
    pub code: u16,
    /// Its value.
    pub value: Span,
}

/// What the walk found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Options {
    /// One bit a code.
    seen: [u64; 4],
    /// What the reply repeats.
    pub echoed: Echoed,
    /// The selector options, in packet order.
    pub selectors: [Kept; SELECTOR_OPTIONS_MAX],
    /// The compared options, in packet order.
    pub compared: [Kept; COMPARED_OPTIONS_MAX],
    /// How many of [`selectors`](Self::selectors) there are.
    pub selectors_count: u8,
    /// How many of [`compared`](Self::compared) there are.
    pub compared_count: u8,
    /// Option 57, or 0.
    pub max_message_size: u16,
    /// Option 50; see [`has`](Self::has).
    pub requested_address: Ip,
    /// Option 54; see [`has`](Self::has).
    pub server_id: Ip,
    /// Option 53, or 0.
    pub message_type: u8,
    /// Zero.
    reserved: [u8; 3],
    /// Octets walked so far: kept in memory, where the verifier does not follow each value that it can have.
    walked: u32,
}

impl Options {
    /// Whether an option with this code is there.
    #[inline(always)]
    pub fn has(&self, code: u8) -> bool {
        self.seen.get(usize::from(code >> 6)).is_some_and(|word| word >> (code & 63) & 1 == 1)
    }

    /// Walks `len` octets of `options` from the first code to END.
    #[inline(always)]
    pub fn walk(&mut self, options: &[u8; OPTIONS_MAX], len: usize, classes: &Classes) -> Result<(), Reason> {
        *self = Self::default();
        for _ in 0..STEPS_MAX {
            let at = fresh(&self.walked) as usize;
            if at >= len {
                return Err(Reason::OptionsMalformed);
            }
            match octet(options, at).ok_or(Reason::OptionsMalformed)? {
                code::END => return Ok(()),
                code::PAD => self.walked += 1,
                option => {
                    let size = octet(options, at + 1).ok_or(Reason::OptionsMalformed)?;
                    let value = Span { at: at as u16 + 2, len: u16::from(size) };
                    let next = at + 2 + usize::from(size);
                    if next > len {
                        return Err(Reason::OptionsMalformed);
                    }
                    self.walked = next as u32;
                    self.take(option, value, options, classes)?;
                }
            }
        }
        Err(Reason::OptionsTooMany)
    }

    #[inline(always)]
    fn take(
        &mut self,
        option: u8,
        value: Span,
        options: &[u8; OPTIONS_MAX],
        classes: &Classes,
    ) -> Result<(), Reason> {
        let word = self.seen.get_mut(usize::from(option >> 6)).ok_or(Reason::OptionsMalformed)?;
        let bit = 1u64 << (option & 63);
        if *word & bit != 0 {
            // RFC 3396 §5: the same code again is one long option, for user space to put together.
            return Err(Reason::OptionTwice);
        }
        *word |= bit;

        let sized = |octets: u16| if value.len == octets { Ok(()) } else { Err(Reason::OptionsMalformed) };
        match option {
            code::MESSAGE_TYPE => {
                sized(1)?;
                self.message_type = part(options, value, 0)?;
            }
            code::REQUESTED_ADDRESS => {
                sized(4)?;
                self.requested_address = address(options, value)?;
            }
            code::SERVER_ID => {
                sized(4)?;
                self.server_id = address(options, value)?;
            }
            code::MAX_MESSAGE_SIZE => {
                sized(2)?;
                self.max_message_size =
                    u16::from_be_bytes([part(options, value, 0)?, part(options, value, 1)?]);
            }
            _ => {
                if option == code::LEASE_TIME {
                    sized(4)?;
                }
                self.keep(option, value, classes)?;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn keep(&mut self, option: u8, value: Span, classes: &Classes) -> Result<(), Reason> {
        let kept = Kept { code: u16::from(option), value };
        match *classes.0.get(usize::from(option)).ok_or(Reason::OptionClass)? {
            CLASS_IGNORED => {}
            CLASS_SELECTOR => {
                *self.selectors.get_mut(usize::from(self.selectors_count)).ok_or(Reason::OptionsTooMany)? =
                    kept;
                self.selectors_count += 1;
            }
            CLASS_COMPARED => {
                *self.compared.get_mut(usize::from(self.compared_count)).ok_or(Reason::OptionsTooMany)? =
                    kept;
                self.compared_count += 1;
            }
            CLASS_IDENTITY if value.len >= 2 => self.echoed.client_id = value,
            CLASS_ECHOED if value.len >= 1 => self.echoed.relay_info = value,
            _ => return Err(Reason::OptionClass),
        }
        Ok(())
    }
}

/// One octet of an option's value.
#[inline(always)]
fn part(options: &[u8; OPTIONS_MAX], value: Span, at: usize) -> Result<u8, Reason> {
    octet(options, usize::from(value.at) + at).ok_or(Reason::OptionsMalformed)
}

#[inline(always)]
fn address(options: &[u8; OPTIONS_MAX], value: Span) -> Result<Ip, Reason> {
    Ok(Ip([
        part(options, value, 0)?,
        part(options, value, 1)?,
        part(options, value, 2)?,
        part(options, value, 3)?,
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::CLASS_PASS;

    fn classes() -> Classes {
        let mut classes = Classes([CLASS_IGNORED; 256]);
        for (code, class) in
            [(55, CLASS_SELECTOR), (60, CLASS_SELECTOR), (61, CLASS_IDENTITY), (12, CLASS_COMPARED)]
        {
            classes.0[code] = class;
        }
        classes.0[90] = CLASS_PASS;
        classes
    }

    fn walk(octets: &[u8]) -> Result<Options, Reason> {
        let mut options = [0xaa; OPTIONS_MAX];
        options[..octets.len()].copy_from_slice(octets);
        let mut found = Options::default();
        found.walk(&options, octets.len(), &classes()).map(|()| found)
    }

    #[test]
    fn each_class_finds_its_place() {
        let found = walk(&[
            0, 61, 3, 1, 2, 3, 53, 1, 3, 55, 2, 1, 3, 50, 4, 10, 0, 0, 9, 12, 1, 65, 54, 4, 10, 0, 0, 1, 57,
            2, 2, 64, 60, 1, 9, 77, 0, 255,
        ])
        .unwrap();
        assert_eq!(found.message_type, 3);
        assert_eq!(found.echoed.client_id, Span { at: 3, len: 3 });
        assert_eq!((found.requested_address, found.server_id), (Ip([10, 0, 0, 9]), Ip([10, 0, 0, 1])));
        assert_eq!(found.max_message_size, 576);
        assert_eq!(found.selectors_count, 2);
        assert_eq!(found.selectors[0], Kept { code: 55, value: Span { at: 11, len: 2 } });
        assert_eq!(found.compared[0], Kept { code: 12, value: Span { at: 21, len: 1 } });
        assert!(found.has(77) && found.has(61) && !found.has(82));
    }

    #[test]
    fn what_is_unusual_is_an_error() {
        let table: [(&[u8], Reason); 11] = [
            (&[], Reason::OptionsMalformed),
            (&[53, 1, 3], Reason::OptionsMalformed),
            (&[53], Reason::OptionsMalformed),
            (&[53, 2, 3, 3, 255], Reason::OptionsMalformed),
            (&[50, 3, 1, 2, 3, 255], Reason::OptionsMalformed),
            (&[51, 3, 1, 2, 3, 255], Reason::OptionsMalformed),
            (&[77, 9, 1, 255], Reason::OptionsMalformed),
            (&[53, 1, 3, 53, 1, 3, 255], Reason::OptionTwice),
            (&[90, 1, 1, 255], Reason::OptionClass),
            (&[61, 1, 1, 255], Reason::OptionClass),
            (&[0; STEPS_MAX + 1], Reason::OptionsTooMany),
        ];
        for (octets, reason) in table {
            assert_eq!(walk(octets).unwrap_err(), reason, "{octets:?}");
        }
    }

    #[test]
    fn end_counts_as_a_step() {
        let mut octets = [0; STEPS_MAX];
        octets[STEPS_MAX - 1] = 255;
        assert!(walk(&octets).is_ok());
    }

    #[test]
    fn nothing_of_the_packet_before_is_left() {
        let mut options = [0; OPTIONS_MAX];
        options[..7].copy_from_slice(&[61, 2, 1, 1, 12, 0, 255]);
        let mut found = Options::default();
        found.walk(&options, 7, &classes()).unwrap();
        options[0] = 255;
        found.walk(&options, 7, &classes()).unwrap();
        assert_eq!(found, Options::default());
    }
}
