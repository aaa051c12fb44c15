//! Who is offered which address. Owns the order of preference and the offers' time; must not bind anything.

use super::{
    Allocator, Place,
    arena::{Offer, Spot, State},
};
use crate::identity::ClientId;
use dhcp_ebpf::abi::{BootSecs, Mac};
use std::net::Ipv4Addr;

/// Why a client is offered nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoOffer {
    /// Every address that it could have is someone's.
    #[error("no free address")]
    Exhausted,
    /// It has this address again once its old lease there is closed, which takes a moment: the client asks again.
    #[error("{0} is still being closed")]
    Closing(Ipv4Addr),
}

impl Allocator {
    /// Offers an address to a client and holds it: the same one as long as the client goes on asking.
    ///
    /// RFC 2131 §4.3.1 gives the order: its address, else the one it had, else the one it asks for (option 50),
    /// else any. In front of them stands the one that is reserved for its hardware address, and the one that it
    /// was offered before stands where a retransmission finds it. An address that is reserved for somebody else,
    /// or outside the pools, is offered to nobody, its present holder included.
    ///
    /// # Errors
    /// There is none, or not yet.
    pub fn offer(
        &mut self,
        client: &ClientId,
        mac: Mac,
        requested: Option<Ipv4Addr>,
        now: BootSecs,
    ) -> Result<Ipv4Addr, NoOffer> {
        self.lapse_offers(now);
        let claims = self.claims(client);
        let bound = claims.held.filter(|spot| matches!(self.arena[*spot].state, State::Held { .. }));
        let requested = requested.and_then(|address| self.arena.find(address));
        let preferences = [
            self.reserved.get(&mac).copied(),
            bound,
            claims.offered,
            claims.held,
            requested,
            self.free.first(),
        ];
        for spot in preferences.into_iter().flatten() {
            let entry = &self.arena[spot];
            if entry.place != Place::Pool && entry.place != Place::Reserved(mac) {
                continue;
            }
            let address = entry.address;
            match &entry.state {
                State::Free => self.make_offer(spot, client, now),
                State::Offered(offer) if offer.client == *client => self.renew_offer(spot, now),
                State::Held { binding, closing } if binding.client() == client => {
                    if *closing {
                        return Err(NoOffer::Closing(address));
                    }
                }
                _ => continue,
            }
            return Ok(address);
        }
        Err(NoOffer::Exhausted)
    }

    fn make_offer(&mut self, spot: Spot, client: &ClientId, now: BootSecs) {
        self.withdraw_offer(client);
        self.leave(spot);
        let offer = Offer { client: client.clone(), until: now.plus(self.offer_hold) };
        self.enter(spot, State::Offered(Box::new(offer)));
        self.claim(client, |claims| claims.offered = Some(spot));
    }

    fn renew_offer(&mut self, spot: Spot, now: BootSecs) {
        if let State::Offered(mut offer) = self.leave(spot) {
            offer.until = now.plus(self.offer_hold);
            self.enter(spot, State::Offered(offer));
        }
    }

    /// Takes an offer back: the client chose another server, or is gone. Returns the address that is free again.
    pub fn withdraw_offer(&mut self, client: &ClientId) -> Option<Ipv4Addr> {
        let spot = self.claims(client).offered?;
        self.release_offer(spot);
        Some(self.arena[spot].address)
    }

    /// Takes back the offers whose time is over.
    pub fn lapse_offers(&mut self, now: BootSecs) {
        while let Some(spot) = self.offers.first() {
            match &self.arena[spot].state {
                State::Offered(offer) if offer.until <= now => self.release_offer(spot),
                _ => break,
            }
        }
    }

    /// Frees an offered address. Whoever had it before the offer is remembered as before.
    fn release_offer(&mut self, spot: Spot) {
        if let State::Offered(offer) = self.leave(spot) {
            self.claim(&offer.client, |claims| claims.offered = None);
        }
        self.enter(spot, State::Free);
        let entry = &self.arena[spot];
        if entry.place == Place::Pool && entry.last.is_none() {
            // Nobody would miss it: it goes before those that somebody had.
            self.free.remove(&mut self.arena, spot);
            self.free.push_front(&mut self.arena, spot);
        }
    }
}
