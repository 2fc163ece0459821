//! Who is signed in to a browser (`oauth` mode), and for whom a button of our pages was meant.

use super::{Pages, browser_request::parameter};
use crate::{
    domain::failure::Result,
    identity::{BrowserCookie, linking::SignedIn},
    oauth::AuthorizationServer,
};

/// Somebody whose browser is signed in.
pub(super) struct Visitor {
    pub(super) known: SignedIn,
    /// What they allow counts only while this is their epoch.
    pub(super) epoch: String,
}

impl Visitor {
    /// Who is signed in, unless they have revoked everything since then, in whatever browser.
    pub(super) async fn of(
        cookie: Option<&BrowserCookie>,
        pages: &Pages,
        server: &AuthorizationServer,
    ) -> Result<Option<Self>> {
        let Some(cookie) = cookie else { return Ok(None) };
        let Some((known, epoch)) = pages.linking.signed_in(cookie).await? else { return Ok(None) };
        let is_current = server.grants().is_current(&known.person.principal, &epoch).await?;
        Ok(is_current.then_some(Self { known, epoch }))
    }

    /// Whether a form names this person. In another tab somebody else may have signed in since the
    /// form was shown, and a button must not do to them what it says about another.
    pub(super) fn is_meant_by(&self, form: &[u8]) -> Result<bool> {
        let named = parameter(form, "account")?;
        Ok(named.is_some_and(|id| id == self.known.person.github_id.to_string()))
    }
}
