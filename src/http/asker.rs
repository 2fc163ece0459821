//! Who asks on the page at `/`: the signed-in person, the browser itself, or whoever may use this
//! machine. Never anybody whom the request names.

use axum::{body::Bytes, extract::rejection::BytesRejection, http::HeaderMap};

use super::{
    Pages,
    browser_request::{Browser, admit_form, form_body, not_from_our_page, parameter},
    visitor::Visitor,
};
use crate::{
    domain::{Failure, FailureCode, failure::Result},
    identity::{BrowserCookie, ClientName, Principal, session::PageKey},
};

/// What the forms of the page are about.
pub(super) const SUBJECT: &str = "page";

/// Who asks.
#[derive(Debug)]
pub(super) enum Asker {
    /// This principal.
    Known(Principal),
    /// A browser that has done nothing here yet (in `oauth` mode: in which nobody is signed in).
    Stranger,
    /// A browser that has not shown the local key yet.
    Locked,
}

impl Asker {
    /// Who asks, without changing anything.
    pub(super) async fn look(pages: &Pages, cookie: Option<&BrowserCookie>) -> Result<Self> {
        Self::find(pages, cookie, false).await
    }

    /// The same, and notes the use.
    pub(super) async fn of(pages: &Pages, cookie: Option<&BrowserCookie>) -> Result<Self> {
        Self::find(pages, cookie, true).await
    }

    async fn find(pages: &Pages, cookie: Option<&BrowserCookie>, uses: bool) -> Result<Self> {
        let desk = &pages.desk;
        if let Some(server) = &pages.authorization {
            let visitor = Visitor::of(cookie, pages, server).await?;
            return Ok(visitor.map_or(Self::Stranger, |visitor| {
                let id = visitor.known.person.principal;
                Self::Known(Principal { id, client: ClientName::default() })
            }));
        }
        let is_locked = desk.local_key.is_some();
        if pages.is_machines_without_key() {
            let machine = if uses {
                Some(desk.sessions.machine_page().await?)
            } else {
                desk.sessions.known_machine_page().await?
            };
            return Ok(machine.map_or(Self::Stranger, Self::Known));
        }
        let found = match cookie.map(|cookie| page_key(pages, cookie)) {
            None => None,
            Some(page) if uses => desk.sessions.use_page(&page).await?,
            Some(page) => desk.sessions.page(&page).await?,
        };
        Ok(match found {
            Some(principal) => Self::Known(principal),
            None if is_locked => Self::Locked,
            None => Self::Stranger,
        })
    }

    /// The principal.
    ///
    /// # Errors
    /// `not_connected`, `unauthenticated`.
    pub(super) fn known(self, pages: &Pages) -> Result<Principal> {
        match self {
            Self::Known(principal) => Ok(principal),
            Self::Stranger if pages.authorization.is_some() => Err(Failure::new(
                FailureCode::Unauthenticated,
                "Nobody is signed in to this browser, or no longer.",
            )),
            Self::Stranger => {
                Err(Failure::new(FailureCode::NotConnected, "No GitHub account is connected yet."))
            }
            Self::Locked => Err(locked()),
        }
    }
}

/// What a browser is told that must show the local key first.
pub(super) fn locked() -> Box<Failure> {
    Failure::new(
        FailureCode::Unauthenticated,
        "This server serves one person, and this browser has not shown their local key.",
    )
}

/// Under what this browser's page is kept.
pub(super) fn page_key(pages: &Pages, cookie: &BrowserCookie) -> PageKey {
    PageKey::of(cookie, pages.desk.local_key.as_ref())
}

/// A form of the page, from a browser that was shown it.
pub(super) struct Form {
    pub(super) body: Bytes,
    pub(super) browser: Browser,
    /// The form was made for the cookie that came with it.
    pub(super) is_of_cookie: bool,
}

impl Form {
    /// Reads a form. In the loopback modes it may have been shown before another tab got this browser
    /// its cookie.
    ///
    /// # Errors
    /// `forbidden` for what comes from elsewhere; `invalid_arguments`, `request_too_large`.
    pub(super) fn read(
        pages: &Pages,
        headers: &HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Self> {
        admit_form(headers, &pages.settings.public_base_url)?;
        let body = form_body(body)?;
        let browser = Browser::of(headers, pages)?;
        let csrf = parameter(&body, "csrf")?.unwrap_or_default();
        let good_for = |cookie| pages.linking.csrf_is_good(SUBJECT, cookie, &csrf);
        let is_of_cookie = browser.cookie.is_some() && good_for(browser.cookie.as_ref());
        if !is_of_cookie && (pages.authorization.is_some() || !good_for(None)) {
            return Err(not_from_our_page());
        }
        Ok(Self { body, browser, is_of_cookie })
    }

    /// What a field says; an empty one says nothing.
    pub(super) fn field(&self, name: &str) -> Result<Option<String>> {
        Ok(parameter(&self.body, name)?.filter(|value| !value.trim().is_empty()))
    }
}
