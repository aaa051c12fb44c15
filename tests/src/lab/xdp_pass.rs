//! An XDP program that passes everything, for the far end of a veth: without one, frames that the near end's
//! program sends with XDP_TX are lost. Owns its attachment.

use std::{io, os::fd::OwnedFd};

use super::{Namespace, sys};

/// The program on an interface, for as long as the value lives.
#[derive(Debug)]
pub struct XdpPass {
    _link: OwnedFd,
}

impl XdpPass {
    /// Attaches it in the driver of `interface`.
    ///
    /// # Errors
    /// The kernel's: no privilege, no such mode, or a program that is there already.
    pub fn attach(namespace: &Namespace, interface: &str) -> io::Result<Self> {
        let program = sys::load_xdp_pass()?;
        let ifindex = namespace.ifindex(interface);
        let link = namespace.run(|| sys::link_xdp(&program, ifindex))?;
        Ok(Self { _link: link })
    }
}
