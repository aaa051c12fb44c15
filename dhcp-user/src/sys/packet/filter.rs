//! The classic BPF program that lets a packet socket see nothing but what may be DHCP for a server.

use libc::{
    BPF_ABS, BPF_ADD, BPF_ALU, BPF_AND, BPF_B, BPF_H, BPF_IMM, BPF_IND, BPF_JA, BPF_JEQ, BPF_JMP, BPF_JSET,
    BPF_K, BPF_LD, BPF_LDX, BPF_LSH, BPF_MISC, BPF_RET, BPF_TAX, BPF_X,
};
use socket2::SockFilter;

const ETHERTYPE_IPV4: u32 = 0x0800;
const ETHERTYPE_VLAN: u32 = 0x8100;
const ETHERTYPE_QINQ: u32 = 0x88a8;
const PROTOCOL_UDP: u32 = 17;
const FRAGMENT_OFFSET: u32 = 0x1fff;
const DHCP_SERVER: u32 = 67;

/// Copies a whole frame up: more than any frame has.
const WHOLE: u32 = 0x4_0000;

const fn op(code: u32, k: u32) -> SockFilter {
    SockFilter::new(code as u16, 0, 0, k)
}

/// Jumps ahead by `yes` or `no` instructions.
const fn test(kind: u32, k: u32, yes: u8, no: u8) -> SockFilter {
    SockFilter::new((BPF_JMP | kind | BPF_K) as u16, yes, no, k)
}

/// IPv4, UDP, not a later fragment (it has no ports), destination port 67; with any header length, and under
/// none or one tag, since the kernel has already taken the outer one out of the frame. A frame too short to tell
/// is refused.
pub(super) const DHCP_REQUESTS: [SockFilter; 22] = [
    // X becomes the length of the tag.
    op(BPF_LD | BPF_H | BPF_ABS, 12),
    test(BPF_JEQ, ETHERTYPE_IPV4, 4, 0),
    test(BPF_JEQ, ETHERTYPE_VLAN, 1, 0),
    test(BPF_JEQ, ETHERTYPE_QINQ, 0, 17),
    op(BPF_LD | BPF_H | BPF_ABS, 16),
    test(BPF_JEQ, ETHERTYPE_IPV4, 2, 15),
    op(BPF_LDX | BPF_IMM, 0),
    op(BPF_JMP | BPF_JA, 1),
    op(BPF_LDX | BPF_IMM, 4),
    op(BPF_LD | BPF_B | BPF_IND, 23),
    test(BPF_JEQ, PROTOCOL_UDP, 0, 10),
    op(BPF_LD | BPF_H | BPF_IND, 20),
    test(BPF_JSET, FRAGMENT_OFFSET, 8, 0),
    // X becomes the length of tag and IP header.
    op(BPF_LD | BPF_B | BPF_IND, 14),
    op(BPF_ALU | BPF_AND | BPF_K, 0x0f),
    op(BPF_ALU | BPF_LSH | BPF_K, 2),
    op(BPF_ALU | BPF_ADD | BPF_X, 0),
    op(BPF_MISC | BPF_TAX, 0),
    op(BPF_LD | BPF_H | BPF_IND, 16),
    test(BPF_JEQ, DHCP_SERVER, 0, 1),
    op(BPF_RET | BPF_K, WHOLE),
    op(BPF_RET | BPF_K, 0),
];
