//! What is always true, held against each answer.
//!
//! * I1: a principal is connected only through an account that was consented to in the browser that
//!   pressed the button of a flow of that principal, and verified (or, on loopback, became active in
//!   Scalekit-users-only mode, and then it is never told as verified).
//! * I2: each authorization is verified at most once, and each identifier.
//! * I3: a flow that somebody was told has ended, or whose time is over, never verifies.
//! * I4: what was acknowledged is so afterwards, whatever ended in between.
//! * I5: what is one person's is told to nobody else.

use chrono::Duration;
use pr_summarizer::{
    domain::{AuthMode, Clock as _, Failure, FailureCode, GitHubAccount, Timestamp},
    identity::{
        Principal,
        linking::{AuthorizationStep, PendingLink, Status},
    },
};

use super::{
    deeds::{Answer, Deed, Proof},
    knowledge::{Caller, Flow, Link},
    run::{Hand, Run, Verdict},
};

/// Longer than a session is idle.
const FORGOTTEN: Duration = Duration::hours(12);

pub fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise()) }
}

impl Run<'_> {
    pub fn hear_what_was_asked(&mut self, hand: &Hand) -> Verdict {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        for (by, authorization, identifier) in asked {
            ensure(by == hand.number, || "asked by a hand that does not run".to_owned())?;
            let is_first = self.known.verified.iter().all(|(_, other)| *other != identifier);
            ensure(is_first, || "I2: an identifier is verified twice".to_owned())?;
            let is_new = self.known.verified.insert((authorization.clone(), identifier.clone()));
            ensure(is_new, || "I2: an authorization is verified twice".to_owned())?;
            let Deed::Complete { browser, link, .. } = hand.deed else {
                return Err("I1: something else than a callback verifies".to_owned());
            };
            let known = &self.known.links[link];
            ensure(known.identifier.as_ref() == Some(&identifier), || {
                "I1: an identifier is verified that its flow does not have".to_owned()
            })?;
            ensure(known.presser == browser, || {
                format!("I1: browser {browser} verifies what browser {} began", known.presser)
            })?;
            let flow = &self.known.flows[known.flow];
            ensure(flow.ended.is_none_or(|ended| ended >= hand.began), || {
                "I3: a flow that has ended verifies".to_owned()
            })?;
            ensure(hand.began_at < flow.expires_at, || {
                "I3: a flow whose time is over verifies".to_owned()
            })?;
        }
        Ok(())
    }

    pub fn judge(&mut self, hand: &Hand, answer: Answer) -> Verdict {
        let verdict = self.weigh(hand, answer);
        for loser in &hand.losers {
            self.ledger.end(hand.number, None, loser);
            self.ledger.may_be_lost(loser);
        }
        verdict
    }

    fn weigh(&mut self, hand: &Hand, answer: Answer) -> Verdict {
        match answer {
            Answer::Opened(proof, principal) => self.opened(hand, proof, principal),
            Answer::Nobody => {
                let caller = self.caller(hand);
                ensure(!caller.lives(), || "I4: a session that was handed out is gone".to_owned())?;
                self.nothing_happened(hand);
                Ok(())
            }
            Answer::Closed(closed) => {
                sound(&closed)?;
                let tick = self.tick;
                let Deed::CloseSession { caller } = hand.deed else { unreachable!() };
                self.known.callers[caller].closed.get_or_insert(tick);
                Ok(())
            }
            Answer::Status(principal, status) => {
                self.known_caller(hand, &principal)?;
                self.status(hand, status)
            }
            Answer::Looked(principal, seen) => {
                self.known_caller(hand, &principal)?;
                let seen = seen.map(|seen| seen.expect("accounts are linked"));
                self.status(hand, seen)
            }
            Answer::Read(principal, read) => {
                self.known_caller(hand, &principal)?;
                self.read(hand, read)
            }
            Answer::Disconnected(principal, done) => {
                self.known_caller(hand, &principal)?;
                self.disconnected(hand, &done)
            }
            Answer::Page(page) => {
                sound(&page)?;
                let Ok(page) = page else { return Ok(()) };
                let Deed::OpenPage { browser, flow } = hand.deed else { unreachable!() };
                self.flow_stands(hand, flow)?;
                let made = self.known.accounts_made_in(browser);
                ensure(page.known_accounts.iter().all(|shown| made.contains(&shown)), || {
                    format!("I5: browser {browser} is offered accounts of others")
                })
            }
            Answer::Step(step) => {
                sound(&step)?;
                step.map_or(Ok(()), |step| self.button_pressed(hand, step))
            }
            Answer::Declined(done) => {
                sound(&done)?;
                let Deed::Decline { flow } = hand.deed else { unreachable!() };
                let presented =
                    |link: usize| self.known.links.get(link).is_some_and(|link| link.flow == flow);
                // Whatever may have connected it stays connected.
                let is_untouched = !self.plan.users_only
                    && !self.known.reuses.iter().any(|reuse| reuse.flow == flow)
                    && !self.known.consents.iter().any(|one| presented(one.link) && one.tries > 0);
                if is_untouched && done.is_ok() {
                    self.known.flows[flow].ended.get_or_insert(self.tick);
                }
                Ok(())
            }
            Answer::Reused(done) => {
                sound(&done)?;
                let Deed::Reuse { flow, .. } = hand.deed else { unreachable!() };
                let subject = hand.subject.clone().unwrap_or_default();
                let effect = done.ok().map(|account| Some(account.login));
                self.ledger.end(hand.number, effect.as_ref(), &subject);
                effect.map_or(Ok(()), |_| self.flow_stands(hand, flow))
            }
            Answer::Completed(Ok(completed)) => self.completed(hand, &completed),
            Answer::Completed(Err(interrupted)) => self.interrupted(hand, &interrupted),
            Answer::DisconnectedHere(done) | Answer::Swept(done) => {
                done.map_err(|failure| format!("this cannot fail: {failure:?}"))
            }
        }
    }

    fn read(&mut self, hand: &Hand, read: Result<Option<GitHubAccount>, Box<Failure>>) -> Verdict {
        let subject = hand.subject.as_deref().unwrap();
        let may_be = self.ledger.seen(hand.number, subject);
        match read {
            Ok(Some(account)) => {
                let login = account.login;
                ensure(may_be.contains(&Some(login.clone())), || {
                    format!("I5: {subject} reads as {login}, and may as {may_be:?}")
                })?;
                let may = [true, false].iter().any(|verified| {
                    self.known.may_be_connected(subject, &login, *verified, hand.began)
                });
                ensure(may, || format!("I1: {subject} reads as {login}"))
            }
            Ok(None) => Ok(()),
            Err(failure) => {
                let may = may_be.len() > 1 || may_be.contains(&None) || self.known.is_spoiled;
                ensure(may, || {
                    format!("I4: {subject} is as {may_be:?} and reads nothing: {failure:?}")
                })
            }
        }
    }

    fn disconnected(&mut self, hand: &Hand, done: &Result<(), Box<Failure>>) -> Verdict {
        sound(done)?;
        let subject = hand.subject.as_deref().unwrap();
        let effect = done.is_ok().then_some(None);
        self.ledger.end(hand.number, effect.as_ref(), subject);
        let flows = self.known.flows.iter_mut().filter(|flow| {
            flow.subject.as_deref() == Some(subject) && flow.known_since < hand.began
        });
        for flow in flows.filter(|_| done.is_ok()) {
            flow.ended.get_or_insert(self.tick);
        }
        Ok(())
    }

    fn opened(&mut self, hand: &Hand, proof: Proof, principal: Option<Principal>) -> Verdict {
        let Some(principal) = principal else {
            let late = self.now() - hand.began_at >= FORGOTTEN;
            return ensure(late, || "I4: a session that was opened is not found".to_owned());
        };
        let id = &principal.id;
        let mut same = self.known.callers.iter().filter(|caller| caller.principal.id == *id);
        let (subject, home) = match self.plan.mode {
            AuthMode::OAuth => {
                let same = same.next().ok_or("I1: a session of nobody who is known")?;
                (same.subject.clone(), same.home)
            }
            mode => {
                let is_other = mode == AuthMode::SingleUser || same.next().is_none();
                ensure(is_other, || "I5: two sessions are the same principal".to_owned())?;
                (id.as_str().to_owned(), self.known.callers.len() % 2)
            }
        };
        self.known.callers.push(Caller {
            principal,
            subject,
            proof,
            home,
            may_be_gone: self.now() - hand.began_at >= FORGOTTEN,
            is_closing: false,
            closed: None,
        });
        Ok(())
    }

    fn caller(&self, hand: &Hand) -> &Caller {
        match hand.deed {
            Deed::CloseSession { caller }
            | Deed::Begin { caller, .. }
            | Deed::Status { caller }
            | Deed::Look { caller }
            | Deed::Read { caller }
            | Deed::Disconnect { caller } => &self.known.callers[caller],
            _ => unreachable!("only callers are answered so"),
        }
    }

    fn known_caller(&self, hand: &Hand, principal: &Principal) -> Verdict {
        let caller = self.caller(hand);
        ensure(caller.principal.id == principal.id, || {
            "I5: a session has become another principal's".to_owned()
        })?;
        ensure(caller.closed.is_none_or(|closed| closed >= hand.began), || {
            "I4: a session that was ended is known".to_owned()
        })
    }

    /// A caller who is not known any more was told nothing and has changed nothing.
    fn nothing_happened(&mut self, hand: &Hand) {
        let Some(subject) = &hand.subject else { return };
        if matches!(hand.deed, Deed::Disconnect { .. }) {
            self.ledger.end(hand.number, None, subject);
        } else {
            self.ledger.seen(hand.number, subject);
        }
    }

    fn status(&mut self, hand: &Hand, status: Result<Status, Box<Failure>>) -> Verdict {
        sound(&status)?;
        let subject = hand.subject.as_deref().unwrap();
        let may_be = self.ledger.seen(hand.number, subject);
        let looked = !matches!(hand.deed, Deed::Begin { reconnect: true, .. });
        let not_connected = || {
            let may = may_be.contains(&None) || self.known.is_spoiled;
            ensure(!looked || may, || {
                format!("I4: {subject} is told that it is not connected, and is as {may_be:?}")
            })
        };
        match status {
            Ok(Status::Connected(connection)) => {
                let login = connection.account.login;
                ensure(may_be.contains(&Some(login.clone())), || {
                    format!("I4: {subject} is connected as {login}, and may be as {may_be:?}")
                })?;
                let may =
                    self.known.may_be_connected(subject, &login, connection.verified, hand.began);
                ensure(may, || format!("I1: {subject} is connected as {login}"))
            }
            Ok(Status::Pending(link)) => {
                not_connected()?;
                self.link_shown(hand, link)
            }
            Ok(Status::NotConnected { .. }) => not_connected(),
            Ok(Status::Expired { .. }) if self.known.is_spoiled => not_connected(),
            Ok(Status::Expired { account, .. }) => {
                Err(format!("I4: {} is said to have expired, and nobody revoked it", account.login))
            }
            Err(_) => Ok(()),
        }
    }

    fn link_shown(&mut self, hand: &Hand, link: PendingLink) -> Verdict {
        let subject = hand.subject.clone();
        let found = self.known.flows.iter().position(|flow| flow.id.as_ref() == Some(&link.flow));
        self.shown = Some(found.unwrap_or(self.known.flows.len()));
        if let Some(found) = found {
            return ensure(self.known.flows[found].subject == subject, || {
                "I5: one principal is shown another one's link".to_owned()
            });
        }
        let home = self.caller(hand).home;
        self.known.flows.push(Flow {
            id: Some(link.flow),
            subject,
            home,
            known_since: self.tick,
            expires_at: link.expires_at,
            ended: None,
            number: None,
        });
        Ok(())
    }

    pub fn flow_stands(&self, hand: &Hand, flow: usize) -> Verdict {
        let ended = self.known.flows[flow].ended;
        ensure(ended.is_none_or(|ended| ended >= hand.began), || {
            "I3: a flow that has ended goes on".to_owned()
        })
    }

    fn button_pressed(&mut self, hand: &Hand, step: AuthorizationStep) -> Verdict {
        let (presser, flow) = match hand.deed {
            Deed::Consent { browser, flow } => {
                self.flow_stands(hand, flow)?;
                let mut pressed = self.known.links.iter().filter(|link| link.flow == flow);
                ensure(pressed.all(|link| link.presser == browser), || {
                    "I1: two browsers are bound to one flow".to_owned()
                })?;
                (browser, flow)
            }
            Deed::Identify { browser, number } => {
                self.known.flows.push(Flow {
                    id: None,
                    subject: None,
                    home: browser,
                    known_since: self.tick,
                    // At the latest: when it was made is not told.
                    expires_at: self.now() + Duration::minutes(15),
                    ended: None,
                    number: Some(number),
                });
                (browser, self.known.flows.len() - 1)
            }
            _ => unreachable!("only buttons lead on"),
        };
        self.known.links.push(Link {
            flow,
            presser,
            url: step.link,
            is_followed: false,
            identifier: None,
            state: None,
            completed: None,
        });
        Ok(())
    }

    pub fn now(&self) -> Timestamp {
        self.house.clock.now()
    }
}

/// Nothing fails here but what people do wrong.
fn sound<T>(answer: &Result<T, Box<Failure>>) -> Verdict {
    match answer {
        Err(failure)
            if matches!(failure.code, FailureCode::Internal | FailureCode::ScalekitRejectedUs) =>
        {
            Err(format!("this cannot fail so: {failure:?}"))
        }
        _ => Ok(()),
    }
}
