//! What a request brings along, and what it may do to whose standing.

use pr_summarizer::identity::linking::Callback;

use super::{
    deeds::{Deed, How, With},
    knowledge::Reuse,
    run::Run,
};

impl Run<'_> {
    pub fn with(&self, deed: &Deed) -> With {
        let mut with = With::default();
        let mut browse = |browser: &usize, flow: Option<&usize>| {
            with.cookie = Some(self.known.browsers[*browser].cookie.clone());
            with.flow = flow.and_then(|flow| self.known.flows[*flow].id.clone());
        };
        match deed {
            Deed::OpenSession { .. } | Deed::NewHandle | Deed::Sweep => {}
            Deed::CloseSession { caller }
            | Deed::Begin { caller, .. }
            | Deed::Status { caller }
            | Deed::Look { caller }
            | Deed::Read { caller }
            | Deed::Disconnect { caller } => {
                let caller = &self.known.callers[*caller];
                let person = self.known.is_oauth.then(|| caller.principal.id.clone());
                with.proof = Some((caller.proof.clone(), person));
            }
            Deed::OpenPage { browser, flow }
            | Deed::Consent { browser, flow }
            | Deed::Reuse { browser, flow, .. } => browse(browser, Some(flow)),
            Deed::Decline { flow } => with.flow.clone_from(&self.known.flows[*flow].id),
            Deed::Identify { browser, .. } | Deed::DisconnectHere { browser, .. } => {
                browse(browser, None);
            }
            Deed::Complete { browser, link, consent, how } => {
                browse(browser, None);
                let consent = consent.map(|consent| &self.known.consents[consent]);
                let is_whole = *how == How::Whole;
                with.callback = Callback {
                    state: self.known.links[*link].state.clone(),
                    auth_request_id: consent
                        .filter(|_| is_whole)
                        .and_then(|consent| consent.auth_request_id.clone()),
                    error: (*how == How::Error).then(|| "access_denied".to_owned()),
                };
            }
        }
        with
    }

    /// What a request may do to whose standing, written down before it begins.
    pub fn enter(&mut self, hand: usize, deed: &Deed) -> Option<String> {
        let at = (hand, self.tick);
        match deed {
            Deed::Begin { caller, .. }
            | Deed::Status { caller }
            | Deed::Look { caller }
            | Deed::Read { caller } => {
                let subject = self.known.callers[*caller].subject.clone();
                self.ledger.look(hand, &subject);
                Some(subject)
            }
            Deed::Disconnect { caller } => {
                let subject = self.known.callers[*caller].subject.clone();
                self.ledger.begin(at, &subject, None, false);
                Some(subject)
            }
            Deed::CloseSession { caller } => {
                self.known.callers[*caller].is_closing = true;
                None
            }
            Deed::Identify { .. } => {
                self.known.trips += 1;
                None
            }
            Deed::Reuse { browser, flow, github_id } => {
                let (flow, browser, github_id) = (*flow, *browser, *github_id);
                let made = self.known.accounts_made_in(browser);
                let account = made.into_iter().find(|account| account.id == github_id)?;
                let (login, subject) =
                    (account.login.clone(), self.known.flows[flow].subject.clone()?);
                self.known.reuses.push(Reuse { flow, browser, github_id });
                self.ledger.begin(at, &subject, Some(login), false);
                Some(subject)
            }
            Deed::Complete { browser, link, consent, .. } => {
                let own = consent.filter(|consent| self.known.consents[*consent].link == *link);
                if let Some(consent) = consent {
                    self.known.consents[*consent].tries += 1;
                }
                let subject = own.map_or_else(
                    || self.known.flow_of_link(*link).subject.clone(),
                    |own| self.known.subject_of(*link, &self.known.consents[own]),
                )?;
                let account = own.and_then(|own| self.known.consents[own].account.clone());
                let account = account.filter(|_| self.known.links[*link].presser == *browser)?;
                self.ledger.begin(at, &subject, Some(account.login), false);
                Some(subject)
            }
            _ => None,
        }
    }

    /// Who may lose their connection by what somebody else does.
    pub fn losers(&self, deed: &Deed) -> Vec<String> {
        let known = &self.known;
        match deed {
            // What several share is gone for all of them.
            Deed::Disconnect { caller } if !known.reuses.is_empty() => {
                let own = &known.callers[*caller].subject;
                self.ledger.subjects().into_iter().filter(|subject| subject != own).collect()
            }
            Deed::DisconnectHere { .. } => self.ledger.subjects(),
            // Another authorization from another browser.
            Deed::Complete { browser, link, how: How::Whole, .. }
                if known.links[*link].presser != *browser =>
            {
                if !known.reuses.is_empty() {
                    return self.ledger.subjects();
                }
                let here = known.consents.iter().filter(|consent| consent.link == *link);
                let mut subjects: Vec<String> =
                    here.filter_map(|consent| known.subject_of(*link, consent)).collect();
                subjects.sort();
                subjects.dedup();
                subjects
            }
            _ => Vec::new(),
        }
    }
}
