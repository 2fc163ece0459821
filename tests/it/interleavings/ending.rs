//! How a run ends: everybody is as they were told, nobody is stuck, and nothing is left over.

use std::collections::BTreeSet;

use pr_summarizer::{
    domain::{AuthMode, PrincipalId},
    identity::{ClientName, Principal, linking::Status},
};

use super::{
    deeds::Deed,
    knowledge::BROWSERS,
    run::{Run, Verdict},
};
use crate::fakes::{LinkUse, VerificationMode};

/// After so many minutes all flows have ended that nobody brings to an end, those included that were
/// being verified.
const ALL_FLOWS: i64 = 46;

/// How many programs connect again, so that a run is short; which ones is drawn.
const CONNECTING: usize = 2;

/// What is let go of in one round is deleted in the next.
const ROUNDS: usize = 3;

impl Run<'_> {
    pub async fn conclude(&mut self) -> Verdict {
        self.note("all is still; from here on everybody is honest");
        self.world.scalekit.configure(|set| {
            set.verification = VerificationMode::Custom;
            set.links = LinkUse::Once;
        });
        // First, while what was cut off can still be taken up.
        self.everybody_asks().await?;
        if self.chance.one_in(3) {
            self.everybody_connects().await?;
        }
        self.pass(ALL_FLOWS);
        self.sweep().await?;
        self.everybody_asks().await?;
        self.ledger.forget_what_was_cut_off();
        self.everybody_connects().await?;
        self.sweep().await?;
        self.nothing_is_left_over().await
    }

    /// One request, alone, to its end.
    async fn alone(&mut self, deed: Deed) -> Verdict {
        self.start(deed);
        while let Some(hand) = self.hands.keys().next().copied() {
            self.step(hand).await?;
        }
        Ok(())
    }

    async fn sweep(&mut self) -> Verdict {
        for _ in 0..ROUNDS {
            self.alone(Deed::Sweep).await?;
        }
        Ok(())
    }

    async fn everybody_asks(&mut self) -> Verdict {
        for caller in 0..self.known.callers.len() {
            self.alone(Deed::Look { caller }).await?;
            self.alone(Deed::Status { caller }).await?;
            self.alone(Deed::Look { caller }).await?;
        }
        Ok(())
    }

    async fn everybody_connects(&mut self) -> Verdict {
        if self.plan.mode == AuthMode::OAuth {
            for browser in 0..BROWSERS {
                for account in 0..2 {
                    let came = |login: &str| {
                        let mut consents = self.known.consents.iter();
                        consents.any(|one| one.account.as_ref().is_some_and(|a| a.login == login))
                    };
                    // Whoever came may be a person here without having been told.
                    if account == 0 || came(&self.known.browsers[browser].accounts[1].login) {
                        self.sets_out(browser).await?;
                        self.back_and_forth(browser, account).await?;
                    }
                }
            }
        } else {
            self.alone(Deed::OpenSession { person: None }).await?;
        }
        let living: Vec<usize> = (0..self.known.callers.len())
            .filter(|caller| self.known.callers[*caller].lives())
            .collect();
        for _ in 0..CONNECTING {
            let caller = self.chance.one_of(&living);
            self.connects(caller).await?;
        }
        Ok(())
    }

    /// Whoever is told that an earlier trip has ended at Scalekit presses the button again.
    async fn sets_out(&mut self, browser: usize) -> Verdict {
        let links = self.known.links.len();
        for _ in 0..=self.known.trips {
            if self.known.links.len() == links {
                let number = self.known.trips;
                self.alone(Deed::Identify { browser, number }).await?;
            }
        }
        Ok(())
    }

    async fn connects(&mut self, caller: usize) -> Verdict {
        let (home, subject) =
            (self.known.callers[caller].home, self.known.callers[caller].subject.clone());
        self.shown = None;
        self.alone(Deed::Begin { caller, reconnect: true }).await?;
        let flow = self.shown.ok_or("stuck: an honest person gets no link")?;
        self.alone(Deed::Consent { browser: home, flow }).await?;
        let accounts = &self.known.browsers[home].accounts;
        let account = accounts.iter().position(|account| account.login == subject).unwrap_or(0);
        self.back_and_forth(home, account).await?;
        self.alone(Deed::Status { caller }).await
    }

    /// From the button to the answer; it must be good.
    async fn back_and_forth(&mut self, browser: usize, account: usize) -> Verdict {
        let link = self.known.links.len().checked_sub(1).ok_or("stuck: no button works")?;
        if self.known.links[link].is_followed || self.known.links[link].presser != browser {
            return Err("stuck: an honest person's button does not work".to_owned());
        }
        self.follow(link, browser, Some(account))?;
        let consent = self.known.consents.len() - 1;
        let how = self.known.consents[consent].how();
        let subject = self.known.subject_of(link, &self.known.consents[consent]);
        self.alone(Deed::Complete { browser, link, consent: Some(consent), how }).await?;
        let subject = subject.ok_or("stuck: a consent for nobody")?;
        let login = &self.known.browsers[browser].accounts[account].login;
        let connected = self.ledger.is_settled_as(&subject, login);
        if connected { Ok(()) } else { Err("stuck: an honest person is not connected".to_owned()) }
    }

    /// Scalekit holds an account for each principal that is connected, and in the end none.
    async fn nothing_is_left_over(&mut self) -> Verdict {
        let linking = self.house.processes[0].linking.clone();
        let principals: BTreeSet<PrincipalId> =
            self.known.callers.iter().map(|caller| caller.principal.id.clone()).collect();
        let principals: Vec<Principal> = principals
            .into_iter()
            .map(|id| Principal { id, client: ClientName::default() })
            .collect();
        let mut connected = 0;
        for principal in &principals {
            let seen = linking.look(principal).await.map_err(|failure| format!("{failure:?}"))?;
            connected += usize::from(matches!(seen, Some(Status::Connected(_))));
        }
        let held = self.world.scalekit.accounts().len();
        let is_shared = !self.known.reuses.is_empty();
        // Taken for one that a deletion killed: then no more are deleted.
        let may_stay = self.known.is_spoiled;
        if held > connected && !may_stay || (held < connected && !is_shared) {
            return Err(format!("{connected} principals are connected by {held} accounts"));
        }
        for principal in &principals {
            linking.disconnect(principal).await.map_err(|failure| format!("{failure:?}"))?;
        }
        self.sweep().await?;
        let left = self.world.scalekit.accounts();
        if !left.is_empty() && !may_stay {
            return Err(format!("left over at Scalekit: {left:?}"));
        }
        let unexpected = self.world.take_unexpected();
        if unexpected.is_empty() { Ok(()) } else { Err(unexpected.join("\n")) }
    }
}
