//! The maps as the kernel holds them, looked up beside the code that fills them. Needs root: without, tests fail.

mod answering;
mod attaching;
mod publishing;
mod shapes;

use super::*;
use dhcp_ebpf::abi::CLASS_PASS;

const SIZES: Sizes = Sizes { slots: 4, links: 2, networks: 3, templates: 3 };

/// The maps without the program.
fn maps() -> FastPath {
    FastPath::load_maps(SIZES).expect("BPF needs root")
}

#[test]
fn maps_have_the_sizes_that_were_asked_for() {
    // No other test's maps have these.
    let _fast_path =
        FastPath::load_maps(Sizes { slots: 211, links: 17, networks: 19, templates: 23 }).unwrap();
    let sizes: Vec<_> = aya::maps::loaded_maps()
        .map_while(Result::ok)
        .filter_map(|info| Some((info.name_as_str()?.to_owned(), info.max_entries(), info.value_size())))
        .collect();
    for expected in [
        ("LINKS", 17, 48),
        ("NETWORKS", 19, 8),
        ("CLASSES", 19, 256),
        ("LEASES", 211, 8),
        ("SLOTS", 211, 64),
        ("SIDE", 422, 256),
        ("TEMPLATES", 23, size_of::<Template>() as u32),
        ("SHAPES", 23, 4),
    ] {
        let found = sizes.iter().any(|(name, entries, value)| (name.as_str(), *entries, *value) == expected);
        assert!(found, "{expected:?} is not among {sizes:?}");
    }
}

#[test]
fn links_and_networks_are_there_as_they_were_set() {
    let mut fast_path = maps();
    let link = Link { network: 2, mtu: 1500, ..Link::default() };
    fast_path.set_link(7, &link).unwrap();
    assert_eq!(fast_path.links.get(&Abi(LinkKey { ifindex: 7, outer: 0, inner: 0 }), 0).unwrap(), Abi(link));
    fast_path.set_link(8, &link).unwrap();
    let error = fast_path.set_link(9, &link).unwrap_err().to_string();
    assert!(error.starts_with("map LINKS: ") && error.contains("os error"), "{error}");

    let (network, classes) = (Network { answers: 3, epoch: 9 }, Classes([CLASS_PASS; 256]));
    fast_path.set_network(2, &network, &classes).unwrap();
    assert_eq!(fast_path.networks.get(&2, 0).unwrap(), Abi(network));
    assert_eq!(fast_path.classes.get(&2, 0).unwrap(), Abi(classes));
    assert!(fast_path.set_network(3, &network, &classes).is_err());
}

#[test]
fn every_reason_has_a_counter() {
    let counters = maps().counters().unwrap();
    let names: Vec<_> = counters.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, Reason::ALL.iter().map(|reason| reason.name()).collect::<Vec<_>>());
    assert!(counters.iter().all(|(_, count)| *count == 0));
}
