//! Finding out who the person is (`oauth` mode): one trip through the browser that links GitHub and
//! tells which GitHub account came. What goes on afterwards is handed in and handed back, unread.

use std::time::Duration;

use super::{
    super::{
        browser::BrowserCookie,
        connection::{BrowserRecord, SignIn},
        flow::{Ending, FlowPurpose, LIFETIME},
        person::Person,
        principal::ClientName,
    },
    AccountLinking, AuthorizationStep,
    consent::ended,
};
use crate::{
    domain::{
        Failure, FailureCode, FlowId, GitHubAccount, PrincipalId, Timestamp, failure::Result,
    },
    upstream::Call,
};

/// Somebody who is signed in to the person's page.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who.
    pub person: Person,
    /// Their account, if one is linked.
    pub account: Option<GitHubAccount>,
    /// Since when it is.
    pub connected_at: Option<Timestamp>,
}

impl AccountLinking {
    /// The button of the consent page: binds this browser to a new flow and asks Scalekit for the
    /// link. `continuation` comes back when the person is known.
    ///
    /// # Errors
    /// `too_many_requests` if too many people are on such a trip, or began one; `unverified_connection` if this
    /// browser's last one ended at Scalekit, which checks no browser; Scalekit's failures. The button
    /// may be pressed again.
    pub async fn identify(
        &self,
        continuation: String,
        client: ClientName,
        browser: &BrowserCookie,
        call: &Call,
    ) -> Result<AuthorizationStep> {
        self.look_at_last_trip(browser, call).await?;
        let flow = self.new_flow(None, FlowPurpose::Identify { continuation }, client);
        self.make_room(&flow.id, browser).await?;
        let expires_at = flow.created_at + LIFETIME;
        self.inner.store.insert(&self.key(flow.id.as_str()), &flow, expires_at).await?;
        self.consent(&flow.id, browser, call).await
    }

    /// In Scalekit-users-only mode no browser ever comes back, so whoever tries again is told why.
    async fn look_at_last_trip(&self, browser: &BrowserCookie, call: &Call) -> Result<()> {
        let Some(last) = self.inner.trips.last_of(&browser.digest()) else { return Ok(()) };
        let Some(flow) = self.flow(&last).await? else { return Ok(()) };
        match self.adopt_if_active(flow, call).await {
            Ok(true) => Err(ended(&Ending::Unverified)),
            Ok(false) => Ok(()),
            // Then the new trip will not get its link either, and says so.
            Err(failure) => {
                tracing::debug!(code = failure.code.slug(), "the last trip was not looked at");
                Ok(())
            }
        }
    }

    /// Counts a trip of this browser, and ends the one that gives way for it.
    async fn make_room(&self, flow: &FlowId, browser: &BrowserCookie) -> Result<()> {
        let began = self.inner.trips.begin(flow, &browser.digest(), self.inner.clock.now());
        let gave_way = began.map_err(|wait| {
            // Whole seconds, and none too early.
            let wait = Duration::from_secs(wait.as_secs() + 1);
            let sentence = format!(
                "Too many connections to GitHub were begun just now, so nothing was started. Go back \
                 and press the button again in {} seconds.",
                wait.as_secs(),
            );
            Failure::new(FailureCode::TooManyRequests, sentence).retry_after(wait)
        })?;
        if let Some(gone) = gave_way {
            self.burn(&gone.flow, gone.ending).await?;
        }
        Ok(())
    }

    /// Signs this browser in to the person's page, for [`BrowserRecord::SIGNED_IN`]. `epoch` comes
    /// back with [`AccountLinking::signed_in`].
    pub async fn sign_in(
        &self,
        person: &Person,
        epoch: &str,
        browser: &BrowserCookie,
    ) -> Result<()> {
        let until = self.inner.clock.now() + BrowserRecord::SIGNED_IN;
        self.change_browser(&browser.digest(), |record| {
            let (principal, epoch) = (person.principal.clone(), epoch.to_owned());
            record.sign_in = Some(SignIn { principal, epoch, until });
        })
        .await
    }

    /// Takes a person's sign-in from this browser, if there is one, over into a new epoch.
    pub async fn stay_signed_in(
        &self,
        principal: &PrincipalId,
        epoch: &str,
        browser: &BrowserCookie,
    ) -> Result<()> {
        self.change_browser(&browser.digest(), |record| {
            if let Some(sign_in) = record.sign_in.as_mut().filter(|it| it.principal == *principal) {
                epoch.clone_into(&mut sign_in.epoch);
            }
        })
        .await
    }

    /// Signs this browser out, and has it forget which accounts were connected from it.
    pub async fn sign_out(&self, browser: &BrowserCookie) -> Result<()> {
        self.change_browser(&browser.digest(), |record| *record = BrowserRecord::default()).await
    }

    /// Who is signed in from this browser, and since which epoch; looked up anew for each request.
    pub async fn signed_in(&self, browser: &BrowserCookie) -> Result<Option<(SignedIn, String)>> {
        let Some(record) = self.browser_record(&browser.digest()).await? else { return Ok(None) };
        let now = self.inner.clock.now();
        let Some(sign_in) = record.sign_in.filter(|sign_in| sign_in.until > now) else {
            return Ok(None);
        };
        let person = self.person(&sign_in.principal).await?;
        Ok(person.map(|person| (person, sign_in.epoch)))
    }

    /// The person that a principal is; `None` once they were forgotten.
    pub async fn person(&self, principal: &PrincipalId) -> Result<Option<SignedIn>> {
        let Some(record) = self.principal_record(principal).await? else { return Ok(None) };
        let Some(github_id) = record.github_id else { return Ok(None) };
        let connection = self.connection_of(&record).await?;
        let connection =
            connection.map(|found| found.value).filter(|found| !found.needs_reauthorization);
        Ok(Some(SignedIn {
            person: Person { principal: principal.clone(), github_id },
            connected_at: connection.as_ref().map(|connection| connection.connected_at),
            account: connection.map(|connection| connection.account),
        }))
    }

    /// Unlinks a person's GitHub account, here and at Scalekit.
    pub async fn disconnect_person(&self, person: &Person) -> Result<()> {
        self.disconnect_principal(&person.principal).await
    }

    /// Deletes everything that is kept about a person here and at Scalekit.
    pub async fn forget(&self, person: &Person) -> Result<()> {
        // First of all: an account that comes back in this moment finds that it is somebody new.
        self.inner.people.forget(person).await?;
        self.disconnect_principal(&person.principal).await?;
        self.inner.sessions.end_all(&person.principal).await?;
        self.remove_principal(&person.principal).await
    }
}
