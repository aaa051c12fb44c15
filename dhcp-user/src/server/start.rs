//! The start: what is there is found out, what was promised is restored, and only then is anything answered. Owns
//! the order of it; whatever is wrong ends it with the interface as it was found.

use super::{
    EPOCH, Ears, NETWORK, Server,
    closing::Closings,
    commits::Commits,
    tally::{Tally, Throttle},
    watch::watch,
};
use crate::{
    allocator::{Allocator, Binding},
    cli::Serve,
    clock::{Clock, ClockError, Timeline},
    config::{Config, ConfigError, Settings, host_resolvers},
    control::{self, ControlError},
    fastpath::{Attached, FastPath, FastPathError, Sizes},
    interface::{Interface, InterfaceError},
    protocol::{Replies, options::classes, reply::PROFILE},
    sockets::{FrameSocket, Sink, SocketError},
    store::{
        LeaseRow, LeaseState, Meta, Storage, StoreCounters, StoreError, sqlite::SqliteStore, writer::Writer,
    },
};
use dhcp_ebpf::abi::{
    BootSecs, Bounds, Ip, LINK_ADDRESSES, LINK_UNFINISHED_CHECKSUMS, LeaseSecs, Link, NETWORK_INIT_REBOOT,
    NETWORK_REBINDING, NETWORK_RENEWING, NETWORK_SELECTING, Network,
};
use nix::fcntl::{Flock, FlockArg};
use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};
use tokio::sync::mpsc;

/// The lease store's file in the state directory.
const STORE: &str = "leases.sqlite";
/// The lock's file in the state directory.
const LOCK: &str = "lock";
/// How long an address is kept for a client that was offered it.
const OFFER_HOLD: LeaseSecs = LeaseSecs(30);
/// Shapes of requests that the kernel can answer, over the daemon's life.
const TEMPLATES: u32 = 4096;
/// Questions of people that can wait.
const CALLS: usize = 8;

/// Why the daemon does not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory can't be used.
    #[error("{}: {source}; it must be writable, or name another one with --state", path.display())]
    State {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another daemon uses it.
    #[error("{}: another daemon uses this state directory; stop it, or name another one with --state", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The interface.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its writer.
    #[error("the store's thread: {0}")]
    Writer(#[source] io::Error),
    /// The clock.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The fast path.
    #[error(transparent)]
    FastPath(#[from] FastPathError),
    /// The sockets.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The control socket.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// The state directory's lock: the kernel's, so that it ends with the process however that ends.
pub struct StateLock {
    _file: Flock<File>,
}

impl StateLock {
    fn take(dir: &Path) -> Result<Self, StartError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| StartError::State { path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed(dir))?;
        let path = dir.join(LOCK);
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        match Flock::lock(file.map_err(failed(&path))?, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Self { _file: file }),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Err(StartError::Locked { path: dir.to_owned() }),
            Err((_, error)) => Err(failed(&path)(error.into())),
        }
    }
}

/// Starts the daemon, up to the point where it answers. Says what it serves in the text that it returns.
///
/// # Errors
/// Nothing is attached, and the store holds what it held.
pub async fn start(serve: &Serve) -> Result<(Server, Ears, String), StartError> {
    let interface = Interface::find(&serve.iface).await?;
    let config = serve.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read)?;
    let settings = Settings::resolve(&config, &interface, &host_resolvers())?;
    let lock = StateLock::take(&serve.state)?;

    let clock = Clock::open()?;
    let store_path = serve.state.join(STORE);
    let store_counters = Arc::new(StoreCounters::default());
    let mut store = SqliteStore::open(&store_path, Arc::clone(&store_counters))?;
    let meta = store.meta()?;
    // Behind the verification of the store, which takes its time.
    let now = BootSecs::begun(clock.boot_ns()?);
    let timeline = Timeline::open(
        store.boot(clock.boot_id())?,
        clock.boot_id().clone(),
        now,
        clock.wall_now(),
        clock.synchronised(),
        meta.newest_stamp,
    );
    let allocator = restore(&mut store, &meta, &settings, &timeline, now)?;

    // Everything that can refuse comes before the first change that anyone else could see.
    let sink = Sink::open(&interface.name)?;
    let socket = FrameSocket::open(&interface)?;
    let control = control::Server::bind(&serve.state)?;
    let (calls_in, calls) = mpsc::channel(CALLS);
    tokio::spawn(control.serve(calls_in));

    let mut fast_path = FastPath::load(Sizes {
        slots: allocator.counts().total(),
        links: 1,
        networks: NETWORK + 1,
        templates: TEMPLATES,
    })?;
    store.mark_running(timeline.record(), clock.stamp(&timeline)?)?;
    let (reports_in, reports) = mpsc::unbounded_channel();
    let writer = Writer::spawn(store, reports_in).map_err(StartError::Writer)?;
    let attached = fast_path.attach(&interface, serve.mode)?;
    let link = link_of(&interface, &settings, &attached);
    let (graces_in, graces) = mpsc::unbounded_channel();

    let mut server = Server {
        replies: Replies::new(&settings, EPOCH),
        settings,
        attached,
        mode: serve.mode,
        interface,
        link,
        clock,
        timeline,
        allocator,
        fast_path,
        commits: Commits::new(writer),
        closings: Closings::new(graces_in),
        deferred: Vec::new(),
        take_up_deferred: false,
        outbox: Vec::new(),
        tally: Tally::default(),
        exhausted: Throttle::new(),
        map_full: Throttle::new(),
        unpublished: 0,
        unsent: 0,
        store_counters,
        started: Instant::now(),
    };
    server.open_fast_path(now)?;
    let changes = watch(Interface { xdp: None, ..server.interface.clone() });
    let words = server.describe(&store_path);
    Ok((server, Ears { socket, sink, reports, graces, calls, changes, _lock: lock }, words))
}

/// The allocator as the store knows it. What was promised holds, whatever the configuration says by now.
fn restore(
    store: &mut SqliteStore,
    meta: &Meta,
    settings: &Settings,
    timeline: &Timeline,
    now: BootSecs,
) -> Result<Allocator, StoreError> {
    let pools: Vec<_> = settings.pools.iter().map(|range| (range.first, range.last)).collect();
    let reservations: Vec<_> = settings.reservations.iter().map(|one| (one.mac, one.address)).collect();
    let mut allocator = Allocator::new(&pools, &reservations, OFFER_HOLD);
    let mut held = Vec::new();
    store.load(|row| restore_row(&mut allocator, row, meta, timeline, now, &mut held))?;
    for address in held {
        if let Err(error) = allocator.schedule(address, now) {
            tracing::error!(%error, "a restored lease cannot be scheduled");
        }
    }
    Ok(allocator)
}

fn restore_row(
    allocator: &mut Allocator,
    row: LeaseRow,
    meta: &Meta,
    timeline: &Timeline,
    now: BootSecs,
    held: &mut Vec<std::net::Ipv4Addr>,
) {
    // After a kill the kernel may have extended the lease as far as its horizon, and told nobody.
    let end = timeline.to_boot(if meta.clean { row.end } else { row.end.max(row.horizon) });
    match row.state {
        LeaseState::Bound if !super::upkeep::has_ended(end, now) => {
            let horizon = timeline.to_boot(row.horizon);
            let binding = Binding::new(row.client, row.mac, row.start, end, horizon, row.host_name);
            match allocator.restore(row.address, binding) {
                Ok(()) => held.push(row.address),
                Err(error) => tracing::error!(%error, "a stored lease cannot be restored"),
            }
        }
        LeaseState::Declined if end > now => {
            // An address that is no longer the network's needs no quarantine.
            allocator.quarantine(row.address, end).unwrap_or_default();
        }
        LeaseState::Bound | LeaseState::Released | LeaseState::Expired | LeaseState::Declined => {
            allocator.restore_last(row.address, &row.client);
        }
    }
}

/// The link, as the kernel is told of it.
pub(super) fn link_of(interface: &Interface, settings: &Settings, attached: &Attached) -> Link {
    let mut link = Link {
        network: NETWORK,
        flags: if attached.unfinished_checksums() { LINK_UNFINISHED_CHECKSUMS } else { 0 },
        mtu: u16::try_from(interface.mtu).unwrap_or(u16::MAX),
        addresses: [Ip::ZERO; LINK_ADDRESSES],
        broadcasts: [Ip::ZERO; LINK_ADDRESSES],
        mac: interface.mac,
        reserved: [0; 2],
    };
    // The first is the default server identifier.
    let slots = link.addresses.iter_mut().zip(&mut link.broadcasts);
    for ((address, broadcast), own) in slots.zip(&settings.own) {
        *address = (*own).into();
        let known = interface.addresses.iter().find(|known| known.address == *own);
        *broadcast = known.map_or(Ip::ZERO, |known| known.prefix.broadcast().into());
    }
    if settings.own.len() > LINK_ADDRESSES {
        tracing::warn!(
            "{} has more than {LINK_ADDRESSES} addresses: only the first ones are served",
            interface.name
        );
    }
    link
}

impl Server {
    /// Fills the maps, then lets the kernel answer.
    fn open_fast_path(&mut self, now: BootSecs) -> Result<(), FastPathError> {
        let leases: Vec<_> = self
            .allocator
            .bindings()
            .filter(|(address, binding)| self.gives_way(binding.mac, *address).is_none())
            .map(|(address, binding)| {
                let bounds = Bounds { horizon: binding.horizon, promised: binding.end };
                (address, binding.client().clone(), bounds, binding.host_name.clone())
            })
            .collect();
        for (address, client, bounds, host_name) in leases {
            let slot = self.fast_path.publish(
                NETWORK,
                address,
                &client,
                bounds,
                PROFILE,
                None,
                host_name.as_deref(),
            )?;
            if let Some(binding) = self.allocator.binding_mut(address) {
                binding.slot = Some(slot);
            }
        }
        self.upkeep(now);
        let answers = NETWORK_RENEWING | NETWORK_REBINDING | NETWORK_INIT_REBOOT | NETWORK_SELECTING;
        self.fast_path.set_network(NETWORK, &Network { answers, epoch: EPOCH }, &classes())?;
        self.fast_path.set_link(self.interface.index, &self.link)
    }

    /// What is served, for people.
    fn describe(&self, store: &Path) -> String {
        let Attached { mode, why, .. } = &self.attached;
        let why = why.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        let bound = self.allocator.counts().bound;
        format!(
            "interface  {} ({}), XDP {mode}{why}\n{}\nstore    {} ({bound} leases)",
            self.interface.name,
            self.interface.mac,
            self.settings.describe().trim_end(),
            store.display(),
        )
    }
}
