//! The guest's interfaces: loopback, a veth pair, the virtual machine's card. Owns their making and looking up;
//! knows nothing of what runs on them.

use std::future::Future;

use anyhow::{Context as _, Result};
use dhcp_user::interface::Interface;
use rtnetlink::{LinkUnspec, LinkVeth};

/// One end of the veth pair: the server's.
pub(crate) const SERVER_END: &str = "v0";
/// Its other end.
pub(crate) const CLIENT_END: &str = "v1";
/// The virtual machine's card.
pub(crate) const CARD: &str = "eth0";
/// The loopback, which is every kernel's first interface.
pub(crate) const LOOPBACK_INDEX: u32 = 1;

/// Makes the veth pair and brings all interfaces up.
pub(crate) fn prepare() -> Result<()> {
    wait_for(async {
        let (connection, netlink, _) = rtnetlink::new_connection().context("a netlink socket")?;
        tokio::spawn(connection);
        let pair = LinkVeth::new(SERVER_END, CLIENT_END).build();
        netlink.link().add(pair).execute().await.context("a veth pair")?;
        for name in ["lo", SERVER_END, CLIENT_END, CARD] {
            let up = LinkUnspec::new_with_name(name).up().build();
            netlink.link().set(up).execute().await.with_context(|| format!("bringing {name} up"))?;
        }
        Ok(())
    })
}

/// The facts about an interface, as the daemon sees them.
pub(crate) fn find(name: &str) -> Result<Interface> {
    wait_for(async { Ok(Interface::find(name).await?) })
}

fn wait_for<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
