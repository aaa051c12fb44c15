//! Attaching, on veths in namespaces.

use super::*;
use crate::{
    cli::Mode,
    interface::{Interface, XdpMode},
    sys::testnet::{Namespace, XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE, XdpPass, index, ip},
};
use std::{
    thread,
    time::{Duration, Instant},
};

const XDP_PASS: u32 = 2;

fn find(name: &str) -> Interface {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Interface::find(name)).unwrap()
}

fn mode_of(name: &str) -> Option<XdpMode> {
    find(name).xdp.map(|xdp| xdp.mode)
}

/// A process that another test is just starting may hold a copy of the link for a moment.
fn await_none(name: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while mode_of(name).is_some() {
        assert!(Instant::now() < deadline, "the program stays on {name}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn in_namespace_with_veth(test: impl FnOnce(FastPath) + Send) {
    let fast_path = FastPath::load(SIZES).expect("BPF needs root");
    Namespace::new().run(|| {
        ip("link add v0 type veth peer name v1");
        ip("link set v0 up");
        ip("link set v1 up");
        test(fast_path);
    });
}

#[test]
fn another_program_is_not_replaced() {
    in_namespace_with_veth(|mut fast_path| {
        for (flags, mode) in [(XDP_FLAGS_DRV_MODE, XdpMode::Native), (XDP_FLAGS_SKB_MODE, XdpMode::Generic)] {
            let foreign = XdpPass::attach("v0", flags);
            let interface = find("v0");
            let program = interface.xdp.unwrap().program;
            for asked in [Mode::Auto, Mode::Native, Mode::Generic] {
                let error = fast_path.attach(&interface, asked).unwrap_err();
                assert!(
                    matches!(&error, FastPathError::Foreign { program: id, mode: there, .. } if (*id, *there) == (program, mode)),
                    "{error}"
                );
                let words = error.to_string();
                assert!(words.contains(&format!("id {program}")) && words.contains("xdp off"), "{words}");
            }
            assert_eq!(find("v0").xdp, interface.xdp);
            drop(foreign);
        }
        // One that came after the interface was looked at.
        let before = find("v0");
        let _foreign = XdpPass::attach("v0", XDP_FLAGS_SKB_MODE);
        let there = find("v0").xdp;
        let error = fast_path.attach(&before, Mode::Auto).unwrap_err();
        assert!(matches!(error, FastPathError::Attach { .. }), "{error}");
        assert_eq!(find("v0").xdp, there);
    });
}

#[test]
fn a_veth_whose_peer_has_no_program_is_served_generically() {
    in_namespace_with_veth(|mut fast_path| {
        let attached = fast_path.attach(&find("v0"), Mode::Auto).unwrap();
        assert_eq!((attached.mode, attached.unfinished_checksums()), (XdpMode::Generic, false));
        assert!(attached.why.unwrap().contains("peer"));
        assert_eq!(mode_of("v0"), Some(XdpMode::Generic));
        fast_path.detach();
        await_none("v0");

        let attached = fast_path.attach(&find("v0"), Mode::Native).unwrap();
        assert_eq!((attached.mode, attached.unfinished_checksums()), (XdpMode::Native, true));
        assert!(attached.why.unwrap().contains("peer"), "it was asked for, and loses answers");
        drop(fast_path);
        await_none("v0");
    });
}

#[test]
fn a_veth_whose_peer_has_a_program_is_served_natively() {
    in_namespace_with_veth(|mut fast_path| {
        let _peer = XdpPass::attach("v1", XDP_FLAGS_DRV_MODE);
        let attached = fast_path.attach(&find("v0"), Mode::Auto).unwrap();
        assert_eq!((attached.mode, attached.why.as_deref()), (XdpMode::Native, None));
        assert!(attached.unfinished_checksums());
        assert_eq!(mode_of("v0"), Some(XdpMode::Native));
        fast_path.detach();
        await_none("v0");

        let attached = fast_path.attach(&find("v0"), Mode::Generic).unwrap();
        assert_eq!((attached.mode, attached.why.as_deref()), (XdpMode::Generic, None));
        assert!(!attached.unfinished_checksums());
    });
}

#[test]
fn a_driver_that_refuses_is_quoted() {
    in_namespace_with_veth(|mut fast_path| {
        // A veth has no native XDP for frames longer than a page.
        let _peer = XdpPass::attach("v1", XDP_FLAGS_DRV_MODE);
        ip("link set v1 mtu 9000");
        let attached = fast_path.attach(&find("v0"), Mode::Auto).unwrap();
        assert_eq!((attached.mode, attached.unfinished_checksums()), (XdpMode::Generic, false));
        let why = attached.why.unwrap();
        assert!(why.starts_with("the driver refuses it: ") && why.contains("os error"), "{why}");
        fast_path.detach();
        await_none("v0");
        let error = fast_path.attach(&find("v0"), Mode::Native).unwrap_err();
        assert!(error.to_string().starts_with("v0 does not take the fast path: "), "{error}");
        assert_eq!(mode_of("v0"), None);
    });
}

#[test]
fn a_test_run_passes_what_is_not_dhcp_and_counts_it() {
    in_namespace_with_veth(|fast_path| {
        let frame: Vec<u8> = (0..90).collect();
        assert_eq!(fast_path.test_run(&frame, index("v0")).unwrap(), (XDP_PASS, frame));
        let counters = fast_path.counters().unwrap();
        assert!(counters.contains(&(Reason::NotDhcp.name(), 1)), "{counters:?}");
        assert_eq!(counters.iter().map(|(_, count)| count).sum::<u64>(), 1);
        assert!(fast_path.test_run(&[0; 64], 4242).is_err(), "no such interface");
    });
}
