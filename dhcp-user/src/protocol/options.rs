//! The options of a request: *the* table of those that the slow path reads, and the one reader, which knows no
//! other. What the kernel may ignore follows from it.
//!
//! Lenient where the kernel's walk passes: an option may come in pieces (RFC 3396), in `file` and `sname`
//! (RFC 2131 §4.1), and no END is needed as long as every option lies inside its field.

use super::Refusal;
use dhcp_ebpf::{
    abi::{CLASS_COMPARED, CLASS_IDENTITY, CLASS_IGNORED, CLASS_PASS, CLASS_SELECTOR, Classes},
    wire::{Datagram, Span, options::code::*},
};

/// Host name, RFC 2132 §3.14.
pub const HOST_NAME: u8 = 12;
/// Option overload, RFC 2132 §9.3.
pub const OVERLOAD: u8 = 52;
/// Parameter request list, RFC 2132 §9.8.
pub const PARAMETERS: u8 = 55;
/// Authentication, RFC 3118.
pub const AUTHENTICATION: u8 = 90;
/// Subnet selection, RFC 3011.
pub const SUBNET_SELECTION: u8 = 118;

/// What the slow path reads of a request beside [`STRUCTURAL`], and what each means to the kernel. A code that is
/// neither here nor there cannot be read, so the kernel may ignore it: among them 145 (RFC 6704), which says what
/// the client could take and which dhcpcd sends with every renewal; we send no DHCPFORCERENEW.
pub const READS: &[(u8, u8)] = &[
    (HOST_NAME, CLASS_COMPARED),
    (OVERLOAD, CLASS_PASS),
    (PARAMETERS, CLASS_SELECTOR),
    (CLIENT_ID, CLASS_IDENTITY),
    (RELAY_INFO, CLASS_PASS),
    (AUTHENTICATION, CLASS_PASS),
    (SUBNET_SELECTION, CLASS_PASS),
];

/// What makes a message a message: the kernel's walk reads these by itself and asks no class.
pub const STRUCTURAL: &[u8] = &[REQUESTED_ADDRESS, MESSAGE_TYPE, SERVER_ID, MAX_MESSAGE_SIZE];

/// [`READS`] as the kernel's table: every other code is ignored.
pub const fn classes() -> Classes {
    let mut classes = [CLASS_IGNORED; 256];
    let mut rest = READS;
    while let [(code, class), more @ ..] = rest {
        classes[*code as usize] = *class;
        rest = more;
    }
    Classes(classes)
}

/// Whether the slow path reads this option.
fn reads(code: u8) -> bool {
    STRUCTURAL.contains(&code) || READS.iter().any(|(read, _)| *read == code)
}

/// An option of a request, whole.
#[derive(Debug)]
struct Value {
    code: u8,
    bytes: Vec<u8>,
    /// Where it stands in the options field; nowhere if it was put together or stood elsewhere.
    at: Option<Span>,
}

/// The options of a request that are read.
#[derive(Debug, Default)]
pub struct Values(Vec<Value>);

impl Values {
    /// Reads the first `len` octets of the datagram's options, and the fields that they overload.
    pub fn read(datagram: &Datagram, len: usize) -> Result<Self, Refusal> {
        let mut values = Self::default();
        let options = datagram.options.get(..len).ok_or(Refusal::OptionsMalformed)?;
        values.walk(options, true)?;
        let fields = match values.sized(OVERLOAD)? {
            None => 0,
            Some([fields @ 1..=3]) => fields,
            Some(_) => return Err(Refusal::OptionsMalformed),
        };
        if fields & 1 != 0 {
            values.walk(&datagram.dhcp.file, false)?;
        }
        if fields & 2 != 0 {
            values.walk(&datagram.dhcp.sname, false)?;
        }
        Ok(values)
    }

    fn walk(&mut self, field: &[u8], is_options: bool) -> Result<(), Refusal> {
        let mut rest = field;
        loop {
            rest = match rest {
                [] | [END, ..] => return Ok(()),
                [PAD, rest @ ..] => rest,
                [code, len, rest @ ..] => {
                    let at = field.len() - rest.len();
                    let (bytes, rest) =
                        rest.split_at_checked(usize::from(*len)).ok_or(Refusal::OptionsMalformed)?;
                    let span = Span { at: at as u16, len: u16::from(*len) };
                    self.add(*code, bytes, is_options.then_some(span));
                    rest
                }
                [_] => return Err(Refusal::OptionsMalformed),
            };
        }
    }

    /// RFC 3396 §5: the same code again is one long option.
    fn add(&mut self, code: u8, bytes: &[u8], at: Option<Span>) {
        if !reads(code) {
            return;
        }
        if let Some(begun) = self.0.iter_mut().find(|value| value.code == code) {
            begun.bytes.extend_from_slice(bytes);
            begun.at = None;
        } else {
            self.0.push(Value { code, bytes: bytes.to_vec(), at });
        }
    }

    /// An option's value.
    pub fn get(&self, code: u8) -> Option<&[u8]> {
        Some(&self.0.iter().find(|value| value.code == code)?.bytes)
    }

    /// The value of an option that has `N` octets by its definition; refused where it has not.
    pub fn sized<const N: usize>(&self, code: u8) -> Result<Option<[u8; N]>, Refusal> {
        self.get(code).map(|value| value.try_into().map_err(|_| Refusal::OptionsMalformed)).transpose()
    }

    /// Where the value of an option that the reply repeats stands in `datagram`, whose options end at `end`. A
    /// value that stands nowhere in one piece is put behind them, and `end` with it.
    pub fn span(&self, code: u8, datagram: &mut Datagram, end: &mut usize) -> Result<Span, Refusal> {
        let Some(value) = self.0.iter().find(|value| value.code == code) else {
            return Ok(Span::default());
        };
        if let Some(at) = value.at {
            return Ok(at);
        }
        let at = *end;
        let len = u8::try_from(value.bytes.len()).map_err(|_| Refusal::OptionsMalformed)?;
        *end += usize::from(len);
        let room = datagram.options.get_mut(at..*end).ok_or(Refusal::OptionsMalformed)?;
        room.copy_from_slice(&value.bytes);
        Ok(Span { at: at as u16, len: u16::from(len) })
    }
}
