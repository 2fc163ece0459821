//! What browsers send: cookies, queries, forms.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pr_summarizer::{
    identity::{BrowserCookie, browser::CookieName},
    oauth::{RedirectPolicy, parameters::Parameters},
};
use url::Url;

fuzz_target!(|given: (&str, &str, &[u8])| {
    let (agent, cookies, query) = given;
    for public in ["https://prs.example.com/", "http://127.0.0.1:3000/", "http://localhost/"] {
        let public = Url::parse(public).expect("a constant");
        let name = CookieName::choose(&public, agent);
        if let Ok(Some(cookie)) = BrowserCookie::from_headers(cookies.split('\u{1}'), &name) {
            let set = cookie.to_set_cookie(&name);
            assert!(set.bytes().all(|b| (0x20..0x7f).contains(&b)), "{set:?}");
        }
        let policy =
            RedirectPolicy::new(&["https://claude.ai/api/mcp/auth_callback".to_owned()], public);
        if let Some(uri) = policy.admit(agent) {
            let answer = uri.answer(&[("code", cookies), ("state", agent)]);
            let answer = answer.as_str();
            assert!(answer.bytes().all(|b| b > 0x20 && b != 0x7f), "{answer:?}");
            let before = answer.split(['?', '#']).next().unwrap_or_default();
            assert!(agent.starts_with(before), "{answer} is somewhere else than {agent}");
        }
    }
    if let Ok(parameters) = Parameters::parse(query) {
        let _ = parameters.all_sound();
        for name in ["code", "state", "client_id", "redirect_uri"] {
            let _ = parameters.get(name);
        }
    }
});
