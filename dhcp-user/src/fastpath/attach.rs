//! Putting the program on an interface. Owns the choice between the driver and the stack; must not touch what the
//! program reads.

use super::{FastPath, FastPathError, PROGRAM, error::chain};
use crate::{
    cli::Mode,
    interface::{Interface, VethPeer, XdpMode},
};
use aya::programs::{ProgramError, Xdp, links::FdLink, xdp};

const VETH_LOSES: &str = "a veth loses what XDP sends natively unless its peer runs an XDP program too";

/// How the program is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// [`XdpMode::Native`] or [`XdpMode::Generic`].
    pub mode: XdpMode,
    /// Why it is not native, or what a native one that was asked for suffers from.
    pub why: Option<String>,
    veth: bool,
}

impl Attached {
    /// Whether datagrams come in with unfinished checksums and may be answered all the same
    /// ([`LINK_UNFINISHED_CHECKSUMS`](dhcp_ebpf::abi::LINK_UNFINISHED_CHECKSUMS)).
    pub fn unfinished_checksums(&self) -> bool {
        self.veth && self.mode == XdpMode::Native
    }
}

impl FastPath {
    /// Attaches the program by a BPF link, which ends with this value at the latest. One interface at a time: the
    /// program leaves the one before.
    ///
    /// # Errors
    /// [`Foreign`](FastPathError::Foreign) where the interface carries another program,
    /// [`Attach`](FastPathError::Attach) where it does not take this one.
    pub fn attach(&mut self, interface: &Interface, mode: Mode) -> Result<Attached, FastPathError> {
        if let Some(xdp) = interface.xdp {
            let interface = interface.name.clone();
            return Err(FastPathError::Foreign { interface, program: xdp.program, mode: xdp.mode });
        }
        self.detach();
        let veth = interface.kind.as_deref() == Some("veth");
        let loss = match &interface.peer {
            _ if !veth => None,
            Some(VethPeer::Xdp) => None,
            Some(VethPeer::Unknown(why)) => {
                Some(format!("{VETH_LOSES}, and whether it does is unknown: {why}"))
            }
            Some(VethPeer::NoXdp) | None => Some(VETH_LOSES.to_owned()),
        };
        let refused = |why: String| FastPathError::Attach { interface: interface.name.clone(), why };

        let (mode, link, why) = match (mode, loss) {
            (Mode::Generic, _) => {
                (XdpMode::Generic, self.link_to(interface, xdp::XdpMode::Skb).map_err(refused)?, None)
            }
            (Mode::Native, loss) => {
                (XdpMode::Native, self.link_to(interface, xdp::XdpMode::Driver).map_err(refused)?, loss)
            }
            (Mode::Auto, Some(loss)) => {
                (XdpMode::Generic, self.link_to(interface, xdp::XdpMode::Skb).map_err(refused)?, Some(loss))
            }
            (Mode::Auto, None) => match self.link_to(interface, xdp::XdpMode::Driver) {
                Ok(link) => (XdpMode::Native, link, None),
                Err(native) => match self.link_to(interface, xdp::XdpMode::Skb) {
                    Ok(link) => (XdpMode::Generic, link, Some(format!("the driver refuses it: {native}"))),
                    Err(generic) => return Err(refused(format!("native: {native}; generic: {generic}"))),
                },
            },
        };
        self.link = Some(link);
        Ok(Attached { mode, why, veth })
    }

    /// Takes the program off its interface. Answers that are on their way end with the next grace.
    pub fn detach(&mut self) {
        self.link = None;
    }

    fn link_to(&mut self, interface: &Interface, mode: xdp::XdpMode) -> Result<FdLink, String> {
        let program = self.ebpf.program_mut(PROGRAM).ok_or("it has no program")?;
        let program: &mut Xdp = program.try_into().map_err(|error: ProgramError| chain(&error))?;
        let id = program.attach_to_if_index(interface.index, mode).map_err(|error| chain(&error))?;
        let link = program.take_link(id).map_err(|error| chain(&error))?;
        // Where the kernel knows no such link aya attaches by netlink, which would outlive a killed daemon. A kernel
        // that old does not load the program either.
        FdLink::try_from(link).map_err(|_| "the kernel has no BPF links for XDP (Linux 5.9)".to_owned())
    }
}
