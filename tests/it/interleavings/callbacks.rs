//! What is always true of the answer to a callback.

use pr_summarizer::{
    domain::{FailureCode, PrincipalId},
    identity::{
        ClientName, Principal,
        linking::{Completed, Interrupted},
    },
};

use super::{
    deeds::{Deed, How, Proof, continuation},
    judge::ensure,
    knowledge::Caller,
    run::{Hand, Run, Verdict},
};

impl Run<'_> {
    pub fn completed(&mut self, hand: &Hand, completed: &Completed) -> Verdict {
        let Deed::Complete { browser, link, consent, .. } = hand.deed else { unreachable!() };
        let login = &completed.account.login;
        self.delivered(hand);
        self.flow_stands(hand, self.known.links[link].flow)?;
        ensure(self.known.links[link].presser == browser, || {
            format!("I1: browser {browser} completes what another one began")
        })?;
        let own = consent.map(|consent| &self.known.consents[consent]).filter(|consent| {
            consent.link == link && consent.account.as_ref() == Some(&completed.account)
        });
        let adopted = self.known.consents.iter().any(|one| {
            one.link == link
                && one.is_unverified
                && one.account.as_ref() == Some(&completed.account)
        });
        let replaced = self.plan.tokens_per_account
            && self.known.consents.iter().any(|one| {
                one.link == link
                    && one.account.as_ref() == Some(&completed.account)
                    && (self.known.is_own(one) || self.known.is_not_found_out(one))
            });
        ensure(own.is_some_and(|own| self.known.is_own(own)) || adopted || replaced, || {
            format!("I1: browser {browser} is connected as {login}, who consented elsewhere")
        })?;
        let effect = (own.is_some() || replaced).then(|| Some(login.clone()));
        if let Some(subject) = &hand.subject {
            let is_theirs = !self.known.is_oauth || subject == login;
            self.ledger.end(hand.number, effect.as_ref().filter(|_| is_theirs), subject);
            if replaced && !is_theirs {
                // Whose token it is in the end: another person's than whose consent was presented.
                self.ledger.begin(
                    (hand.number, hand.began),
                    login,
                    effect.clone().flatten(),
                    false,
                );
                self.ledger.end(hand.number, effect.as_ref(), login);
            }
        }
        let tick = self.tick;
        self.known.links[link].completed.get_or_insert(tick);
        let number = self.known.flow_of_link(link).number;
        let Some(identified) = &completed.identified else {
            return ensure(number.is_none() || adopted, || "a trip told nobody".to_owned());
        };
        let goes_on = number.map(continuation);
        ensure(goes_on.as_ref() == Some(&identified.continuation), || {
            "I5: something else goes on than was begun".to_owned()
        })?;
        ensure(identified.person.github_id == completed.account.id, || {
            "I1: another person than consented".to_owned()
        })?;
        self.person_arrived(browser, login, &identified.person.principal)
    }

    fn person_arrived(&mut self, browser: usize, login: &str, principal: &PrincipalId) -> Verdict {
        for caller in &self.known.callers {
            let (same_person, same_principal) =
                (caller.subject == login, caller.principal.id == *principal);
            ensure(same_person == same_principal, || {
                format!("I5: {login} and {} are one principal, or {login} is two", caller.subject)
            })?;
            if same_person {
                return Ok(());
            }
        }
        self.known.callers.push(Caller {
            principal: Principal { id: principal.clone(), client: ClientName::default() },
            subject: login.to_owned(),
            proof: Proof::Token(principal.clone()),
            home: self.known.owner(login).unwrap_or(browser),
            may_be_gone: false,
            is_closing: false,
            closed: None,
        });
        Ok(())
    }

    pub fn interrupted(&mut self, hand: &Hand, interrupted: &Interrupted) -> Verdict {
        let Deed::Complete { browser, link, .. } = hand.deed else { unreachable!() };
        let code = interrupted.failure.code;
        ensure(code != FailureCode::Internal, || format!("{:?}", interrupted.failure))?;
        self.delivered(hand);
        if let Some(subject) = &hand.subject {
            self.ledger.end(hand.number, None, subject);
        }
        let flow = self.known.links[link].flow;
        self.other_browser_was_noticed(hand, code)?;
        if code == FailureCode::BrowserMismatch {
            self.known.flows[flow].ended.get_or_insert(self.tick);
        }
        let Some(goes_on) = &interrupted.continuation else { return Ok(()) };
        let number = self.known.flows[flow].number;
        ensure(
            self.known.links[link].presser == browser
                && number.map(continuation).as_ref() == Some(goes_on),
            || format!("I5: browser {browser} is told what goes on elsewhere"),
        )
    }

    /// Two people at one of Scalekit's links: as soon as the second one comes back, what the first one
    /// has is taken from them.
    fn other_browser_was_noticed(&self, hand: &Hand, code: FailureCode) -> Verdict {
        let Deed::Complete { browser, link, consent: Some(consent), how: How::Whole } = hand.deed
        else {
            return Ok(());
        };
        let (known, consent) = (&self.known.links[link], &self.known.consents[consent]);
        let flow = &self.known.flows[known.flow];
        let must_be = known.presser != browser
            && consent.link == link
            && consent.auth_request_id.is_some()
            && !self.known.was_verified(consent)
            && known.completed.is_some_and(|at| at < hand.began)
            && flow.ended.is_none()
            && self.now() < flow.expires_at;
        ensure(!must_be || code == FailureCode::BrowserMismatch, || {
            "I1: two browsers came back from one link, and it stays connected".to_owned()
        })
    }

    /// Its own browser came back with it and was answered.
    fn delivered(&mut self, hand: &Hand) {
        let Deed::Complete { browser, link, consent: Some(consent), how } = hand.deed else {
            return;
        };
        let consent = &mut self.known.consents[consent];
        if consent.link == link && consent.browser == browser && how == consent.how() {
            consent.is_delivered = true;
        }
    }
}
