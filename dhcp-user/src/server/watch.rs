//! The interface while it is served: whether it is still there, still ours to serve, and still sends what XDP gives
//! it. Owns what follows from a change; what an interface is, `interface` finds out.

use super::{Server, event_loop::RunError, start::link_of};
use crate::{
    cli::Mode,
    interface::{Interface, InterfaceError},
};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the interface is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Looks at an interface every now and then, and tells what differs from `known`. Ends where it is not to be served
/// any more.
pub(super) fn watch(known: Interface) -> mpsc::Receiver<Result<Interface, InterfaceError>> {
    let (changes, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut known = known;
        loop {
            tokio::time::sleep(EVERY).await;
            let found = known.find_again().await;
            match &found {
                // Its program is ours by now.
                Ok(found) if Interface { xdp: known.xdp, ..found.clone() } == known => continue,
                Ok(found) => known = found.clone(),
                // It was not seen, which does not say that it is not there.
                Err(error @ (InterfaceError::Socket(_) | InterfaceError::Netlink(_))) => {
                    tracing::warn!(%error, interface = %known.name, "the interface cannot be looked at");
                    continue;
                }
                Err(_) => {}
            }
            let ended = found.is_err();
            if changes.send(found).await.is_err() || ended {
                return;
            }
        }
    });
    receiver
}

impl Server {
    /// Follows a change of the interface.
    ///
    /// # Errors
    /// It is not the one that was served, or does not take the program any more.
    pub(super) fn interface_changed(&mut self, found: Interface) -> Result<(), RunError> {
        let name = &found.name;
        if found.index != self.interface.index {
            return Err(RunError::Replaced { interface: name.clone() });
        }
        if found.addresses != self.interface.addresses {
            tracing::warn!("{name}: its addresses changed; what is served stays as it was until a restart");
        }
        if found.up != self.interface.up {
            tracing::warn!("{name}: the link is {}", if found.up { "up" } else { "down" });
        }
        let reattach = found.peer != self.interface.peer && self.mode == Mode::Auto;
        self.interface = Interface { xdp: None, ..found };
        if reattach {
            // In generic mode unfinished checksums must pass: they do before the mode changes, not after.
            self.link.flags = 0;
            self.fast_path.set_link(self.interface.index, &self.link)?;
            self.attached = self.fast_path.attach(&self.interface, self.mode)?;
            let why = self.attached.why.as_deref().unwrap_or("its peer runs an XDP program now");
            tracing::warn!("{}: XDP is {} from here on: {why}", self.interface.name, self.attached.mode);
        }
        self.link = link_of(&self.interface, &self.settings, &self.attached);
        self.fast_path.set_link(self.interface.index, &self.link)?;
        Ok(())
    }
}
