//! Templates, by what they were made for.

use super::*;
use dhcp_ebpf::{
    abi::{BODY_MAX, LeaseSecs, SELECTORS_MAX, ShapeKey},
    shape::Selectors,
};
use zerocopy::FromZeros;

const EPOCH: u32 = 8;
const PROFILE: u32 = 2;
const SHAPE: [u8; 5] = [55, 3, 1, 3, 6];

fn template(lease: u32) -> Template {
    let mut template = Template::new_zeroed();
    template.lease = LeaseSecs(lease);
    template.body_len = 240;
    template.body = [7; BODY_MAX];
    template.selectors = [0xff; SELECTORS_MAX];
    template
}

fn published(fast_path: &FastPath, id: u32) -> Template {
    let octets = fast_path.templates.templates.get(&id, 0).unwrap();
    zerocopy::transmute!(octets)
}

fn found(fast_path: &FastPath, key: ShapeKey) -> Option<u32> {
    fast_path.templates.shapes.get(&Abi(key), 0).ok()
}

fn key(selectors: &[u8]) -> ShapeKey {
    ShapeKey { hash: Selectors::from_bytes(selectors).unwrap().hash(), profile: PROFILE, epoch: EPOCH }
}

#[test]
fn a_template_is_made_once_for_a_shape() {
    let mut fast_path = maps();
    let id = fast_path.template_for(EPOCH, PROFILE, &SHAPE, || Some(template(600))).unwrap();
    let again = fast_path.template_for(EPOCH, PROFILE, &SHAPE, || panic!("there is one already"));
    assert_eq!(again, Some(id));

    let published = published(&fast_path, id);
    assert_eq!((published.epoch, published.profile, published.lease), (EPOCH, PROFILE, LeaseSecs(600)));
    assert_eq!((published.selectors_len, published.selectors[..6].to_vec()), (5, vec![55, 3, 1, 3, 6, 0]));
    assert_eq!((published.body_len, published.body), (240, [7; BODY_MAX]));
    assert!(Selectors::from_bytes(&SHAPE).unwrap().are_those_of(&published));
    assert_eq!(found(&fast_path, key(&SHAPE)), Some(id));
    assert_eq!(fast_path.template_counts(), TemplateCounts { used: 1, refused: 0 });
}

#[test]
fn epoch_profile_and_octets_make_a_shape() {
    let mut fast_path = maps();
    let mut make =
        |epoch, profile, octets: &[u8]| fast_path.template_for(epoch, profile, octets, || Some(template(1)));
    let ids = [make(1, 1, &SHAPE), make(2, 1, &SHAPE), make(1, 2, &SHAPE)];
    assert_eq!(ids, [Some(0), Some(1), Some(2)]);
    assert_eq!(make(1, 1, &SHAPE[..4]), None, "the table is full");
    assert_eq!([make(1, 1, &SHAPE), make(1, 2, &SHAPE)], [Some(0), Some(2)], "what is there stays");
    assert_eq!(fast_path.template_counts(), TemplateCounts { used: 3, refused: 1 });
}

#[test]
fn what_cannot_be_made_is_refused() {
    let mut fast_path = maps();
    assert_eq!(fast_path.template_for(EPOCH, PROFILE, &SHAPE, || None), None);
    let long = [1; SELECTORS_MAX + 1];
    assert_eq!(fast_path.template_for(EPOCH, PROFILE, &long, || Some(template(1))), None);
    assert_eq!(fast_path.template_counts(), TemplateCounts { used: 0, refused: 2 });
    let id = fast_path.template_for(EPOCH, PROFILE, &long[1..], || Some(template(1)));
    assert_eq!(id, Some(0), "a refusal takes no id, and the longest shape fits");
    assert_eq!(fast_path.template_for(EPOCH, PROFILE, &[], || Some(template(1))), Some(1));
}

#[test]
fn a_hash_that_is_taken_stays_with_the_first_shape() {
    let mut fast_path = maps();
    fast_path.templates.shapes.insert(Abi(key(&SHAPE)), 77, 0).unwrap();
    let id = fast_path.template_for(EPOCH, PROFILE, &SHAPE, || Some(template(1)));
    assert_eq!(id, Some(0));
    assert_eq!(found(&fast_path, key(&SHAPE)), Some(77));
    assert_eq!(fast_path.template_for(EPOCH, PROFILE, &SHAPE, || None), Some(0));
}
