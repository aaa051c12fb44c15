//! The leases that the kernel knows: the primitives of which a caller makes DESIGN's order. Owns how a lease is
//! spread over `LEASES`, `SLOTS` and `SIDE`; it decides nothing about leases.
//!
//! A slot is free, open or closed: [`FastPath::publish`], [`FastPath::close`], a grace
//! ([`membarrier::global`](crate::sys::membarrier::global)), [`FastPath::unpublish`].
//!
//! **One grace is enough.** After it no program runs that saw the slot open, so its end is final, and its words
//! can be written for another lease at once. A program that starts later may still find the old [`LeaseRef`]
//! before `unpublish` and read the slot's control word after a new `publish`: that word then has another
//! generation, and the program reads it once, before everything else in the slot.
//!
//! That argument is about slots. `LEASES` itself is a hash, whose elements the kernel recycles without a grace: a
//! program that is held up between finding an element and copying it may get the [`LeaseRef`] of an address that
//! was published meanwhile. The slot's own address, in its word of [`Promise`](dhcp_ebpf::abi::Promise), then
//! differs from the one that was asked for.

use super::{FastPath, FastPathError, error::is, templates::BPF_NOEXIST};
use crate::{identity::ClientId, sys::maps::Abi};
use aya::maps::MapError;
use dhcp_ebpf::{
    abi::{
        BootSecs, Bounds, Control, IDENTITY_MAX, LeaseKey, LeaseRef, NO_PROFILE, NO_TEMPLATE, SideKey,
        SideValue,
    },
    wire::options::code,
};
use std::{io, net::Ipv4Addr};

/// Option 12, host name (RFC 2132 §3.14).
const HOST_NAME: u8 = 12;

impl FastPath {
    /// Publishes a lease in a slot of its own, open, and says which. Templates of `profile` answer it. `bounds` is durable already. A host
    /// name of other than 1 to 255 octets is not kept: requests with one then pass.
    ///
    /// # Errors
    /// [`Full`](FastPathError::Full); or the kernel's, for instance where the address is published already.
    /// Nothing is published then.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are the lease; a struct of them would be made for this call"
    )]
    pub fn publish(
        &mut self,
        network: u32,
        address: Ipv4Addr,
        client: &ClientId,
        bounds: Bounds,
        profile: u16,
        template: Option<u32>,
        host_name: Option<&[u8]>,
    ) -> Result<u32, FastPathError> {
        let slot = self.slots.take().ok_or(FastPathError::Full { slots: self.slots.count() })?;
        let generation = self.slots.control(slot).generation.wrapping_add(1);
        let identity = client.bytes();
        self.slots.set_address(slot, address.into());
        self.slots.set_bounds(slot, bounds);
        self.slots.set_identity(slot, identity);
        let control = Control {
            open: true,
            kind: client.kind(),
            // An identity has at most 255 octets.
            len: identity.len() as u8,
            generation,
            profile,
            template: template_word(template),
        };
        let published = self.fill_side(slot, identity, host_name).and_then(|()| {
            self.slots.set_control(slot, control);
            let found = LeaseRef { slot, generation: u32::from(generation) };
            let key = lease_key(network, address);
            self.leases.insert(key, Abi(found), BPF_NOEXIST).map_err(FastPathError::map("LEASES"))
        });
        if let Err(error) = published {
            // No program has found the slot.
            self.slots.set_control(slot, Control { open: false, ..control });
            self.clear_side(slot)?;
            self.slots.give_back(slot);
            return Err(error);
        }
        Ok(slot)
    }

    /// Raises the end that user space has promised; an earlier one changes nothing. Before the promise is made.
    pub fn promise(&mut self, slot: u32, end: BootSecs) {
        let bounds = self.slots.bounds(slot);
        if end > bounds.promised {
            self.slots.set_bounds(slot, Bounds { promised: end, ..bounds });
        }
    }

    /// Sets the latest end that is durable. It can rise at any time; lower it only in a slot that is closed, after
    /// a grace: until then the kernel may promise up to the old one.
    pub fn set_horizon(&mut self, slot: u32, horizon: BootSecs) {
        let bounds = self.slots.bounds(slot);
        self.slots.set_bounds(slot, Bounds { horizon, ..bounds });
    }

    /// Leaves the lease to user space from now on: no template answers it.
    pub fn withhold(&mut self, slot: u32) {
        let control = self.slots.control(slot);
        self.slots.set_control(slot, Control { profile: NO_PROFILE, ..control });
    }

    /// Names the template of the last answer.
    pub fn set_template(&mut self, slot: u32, template: Option<u32>) {
        let control = self.slots.control(slot);
        self.slots.set_control(slot, Control { template: template_word(template), ..control });
    }

    /// Keeps another host name, or none, as in [`publish`](Self::publish).
    ///
    /// A request that is being compared at this moment may be compared with either, or pass.
    ///
    /// # Errors
    /// The kernel's: the lease then keeps the host name it had.
    pub fn set_host_name(&mut self, slot: u32, host_name: Option<&[u8]>) -> Result<(), FastPathError> {
        match host_name.and_then(side_value) {
            Some(value) => self.set_side(slot, HOST_NAME, value),
            None => self.remove_side(slot, HOST_NAME),
        }
    }

    /// The end of the lease: the later of what the kernel and what user space promised. Final only in a slot that
    /// is closed, after a grace.
    pub fn lease_end(&self, slot: u32) -> BootSecs {
        self.kernel_end(slot).max(self.slots.bounds(slot).promised)
    }

    /// The latest end that the kernel promised; 0 where it promised none.
    pub fn kernel_end(&self, slot: u32) -> BootSecs {
        self.slots.end(slot)
    }

    /// Lets no further request be answered; those that are being answered end with the next grace.
    pub fn close(&mut self, slot: u32) {
        let control = self.slots.control(slot);
        self.slots.set_control(slot, Control { open: false, ..control });
    }

    /// Opens a closed slot again, for the same lease.
    pub fn reopen(&mut self, slot: u32) {
        let control = self.slots.control(slot);
        self.slots.set_control(slot, Control { open: true, ..control });
    }

    /// Takes a lease back, whose slot is closed, whose grace has passed and whose final end was read: the slot is
    /// free then.
    ///
    /// # Errors
    /// [`NotClosed`](FastPathError::NotClosed) where the slot is open or holds another lease; or the kernel's.
    /// The slot stays taken, and the call can be repeated.
    pub fn unpublish(&mut self, slot: u32, network: u32, address: Ipv4Addr) -> Result<(), FastPathError> {
        let control = self.slots.control(slot);
        let key = lease_key(network, address);
        let expected = LeaseRef { slot, generation: u32::from(control.generation) };
        match self.leases.get(&key, 0) {
            Ok(Abi(found)) if found == expected && !control.open => {}
            Ok(_) | Err(MapError::KeyNotFound) => return Err(FastPathError::NotClosed { slot, address }),
            Err(error) => return Err(FastPathError::map("LEASES")(error)),
        }
        self.clear_side(slot)?;
        self.leases.remove(&key).map_err(FastPathError::map("LEASES"))?;
        self.slots.give_back(slot);
        Ok(())
    }

    /// How many leases can still be published.
    pub fn free_slots(&self) -> u32 {
        self.slots.free()
    }

    /// How many leases are published, closed ones included.
    pub fn used_slots(&self) -> u32 {
        self.slots.count() - self.slots.free()
    }

    fn fill_side(
        &mut self,
        slot: u32,
        identity: &[u8],
        host_name: Option<&[u8]>,
    ) -> Result<(), FastPathError> {
        if identity.len() > IDENTITY_MAX
            && let Some(value) = side_value(identity)
        {
            self.set_side(slot, code::CLIENT_ID, value)?;
        }
        match host_name.and_then(side_value) {
            Some(value) => self.set_side(slot, HOST_NAME, value),
            None => Ok(()),
        }
    }

    fn clear_side(&mut self, slot: u32) -> Result<(), FastPathError> {
        self.remove_side(slot, code::CLIENT_ID)?;
        self.remove_side(slot, HOST_NAME)
    }

    fn set_side(&mut self, slot: u32, code: u8, value: SideValue) -> Result<(), FastPathError> {
        self.side.insert(side_key(slot, code), Abi(value), 0).map_err(FastPathError::map("SIDE"))
    }

    fn remove_side(&mut self, slot: u32, code: u8) -> Result<(), FastPathError> {
        match self.side.remove(&side_key(slot, code)) {
            Err(error) if !is(&error, io::ErrorKind::NotFound) => Err(FastPathError::map("SIDE")(error)),
            _ => Ok(()),
        }
    }
}

pub(super) fn lease_key(network: u32, address: Ipv4Addr) -> Abi<LeaseKey> {
    Abi(LeaseKey { network, address: address.into() })
}

pub(super) fn side_key(slot: u32, code: u8) -> Abi<SideKey> {
    Abi(SideKey { slot, code: u32::from(code) })
}

/// None for what no option's value can be kept as: nothing, or more than 255 octets.
fn side_value(octets: &[u8]) -> Option<SideValue> {
    let mut value =
        SideValue { len: u8::try_from(octets.len()).ok().filter(|len| *len != 0)?, bytes: [0; 255] };
    value.bytes.get_mut(..octets.len())?.copy_from_slice(octets);
    Some(value)
}

/// A template's id as a slot's word has it; one that is too large is not named there, and is found by its shape.
fn template_word(template: Option<u32>) -> u16 {
    template.and_then(|id| u16::try_from(id).ok()).unwrap_or(NO_TEMPLATE)
}
