//! The laboratory: network namespaces, the links between them, and the processes in them. Owns everything that
//! touches the kernel's configuration; nothing here knows DHCP, and nothing here is visible on the host.
//!
//! Everything is anonymous and held by file descriptors and parent-death signals, so the kernel itself cleans
//! up, also when the test process is killed with -9.

mod lan;
mod netns;
mod process;
mod sys;
mod xdp_pass;

pub use lan::Lan;
pub use netns::{Namespace, SCRATCH};
pub use process::Process;
pub(crate) use sys::packet_address;
pub use xdp_pass::XdpPass;
