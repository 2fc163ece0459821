//! The tricks by which a code is sent to a stranger, each refused, and the honest forms.

use proptest::prelude::*;

use super::*;

fn policy_at(own: &str) -> RedirectPolicy {
    let known: Vec<_> = KNOWN_HOSTS.iter().map(|uri| (*uri).to_owned()).collect();
    RedirectPolicy::new(&known, Url::parse(own).unwrap())
}

fn policy() -> RedirectPolicy {
    policy_at("https://prs.example")
}

/// Each would lead a code astray, or leads where readers disagree.
const TRICKS: &[&str] = &[
    "",
    "javascript:alert(1)",
    "JaVaScRiPt://127.0.0.1/%0aalert(1)",
    "data:text/html,<script>1</script>",
    "intent://claude.ai/#Intent;scheme=https;end",
    "file:///etc/passwd",
    "vbscript:x",
    "//claude.ai/api/mcp/auth_callback",
    "/api/mcp/auth_callback",
    "https:claude.ai/api/mcp/auth_callback",
    "https:/\\claude.ai/api/mcp/auth_callback",
    " https://claude.ai/api/mcp/auth_callback",
    "https://claude.ai/api/mcp/auth_callback\t",
    "https://claude.ai/api/mcp/auth_callback\r\nX: y",
    "https://claude.ai/api/mcp/auth_callback#f",
    "https://claude.ai/api/mcp/auth_callback?x=1",
    "https://claude.ai/api/mcp/auth_callback/",
    "https://claude.ai/api/mcp/auth_callback/../x",
    "https://claude.ai/api/mcp/auth_callbackx",
    "https://claude.ai/api/mcp/other",
    "https://claude.ai//api/mcp/auth_callback",
    "https://claude.ai/api/mcp/%61uth_callback",
    "https://CLAUDE.ai/api/mcp/auth_callback",
    "https://claude.ai./api/mcp/auth_callback",
    "https://claude.ai:443/api/mcp/auth_callback",
    "https://claude.ai:8443/api/mcp/auth_callback",
    "https://claude.ai@evil.example/api/mcp/auth_callback",
    "https://evil.example@claude.ai/api/mcp/auth_callback",
    "https://claude.ai.evil.example/api/mcp/auth_callback",
    "https://evilclaude.ai/api/mcp/auth_callback",
    "https://xclaude.ai/api/mcp/auth_callback",
    "https://clаude.ai/api/mcp/auth_callback",
    "https://xn--clude-3ve.ai/api/mcp/auth_callback",
    "http://claude.ai/api/mcp/auth_callback",
    "https://evil.example/?u=https://claude.ai/api/mcp/auth_callback",
    "https://prs.example/authorize",
    "cursor://anysphere.cursor-mcp/oauth/callback/x",
    "cursor://evil/oauth/callback",
    "CURSOR://anysphere.cursor-mcp/oauth/callback",
    "https://127.0.0.1:1234/cb",
    "ftp://127.0.0.1/cb",
    "HTTP://127.0.0.1/cb",
    "http:127.0.0.1/cb",
    "http:///127.0.0.1/cb",
    "http:\\\\127.0.0.1/cb",
    "http://127.0.0.1\\@evil.example/cb",
    "http://127.0.0.1@evil.example/cb",
    "http://127.0.0.1:80@evil.example/cb",
    "http://evil.example@127.0.0.1/cb",
    "http://user:pass@127.0.0.1/cb",
    "http://127.0.0.1.evil.example/cb",
    "http://127.0.0.1.nip.io/cb",
    "http://localhost.evil.example/cb",
    "http://localhost./cb",
    "http://LOCALHOST/cb",
    "http://ⓛocalhost/cb",
    "http://local\thost/cb",
    "http://xlocalhost/cb",
    "http://app.localhost/cb",
    "http://127.1/cb",
    "http://127.0.0.2/cb",
    "http://0.0.0.0/cb",
    "http://0/cb",
    "http://2130706433/cb",
    "http://0x7f000001/cb",
    "http://0177.0.0.1/cb",
    "http://127.0.0.1./cb",
    "http://[::]/cb",
    "http://[::ffff:127.0.0.1]/cb",
    "http://[0:0:0:0:0:0:0:1]/cb",
    "http://[::1%25lo]/cb",
    "http://[::1]evil.example/cb",
    "http://::1/cb",
    "http://127.0.0.1:0/cb",
    "http://127.0.0.1:99999/cb",
    "http://127.0.0.1:+80/cb",
    "http://127.0.0.1:080/cb",
    "http://127.0.0.1:/cb",
    "http://127.0.0.1:80:80/cb",
    "http://127.0.0.1/cb#fragment",
    "http://127.0.0.1#@evil.example/",
    "http://127.0.0.1/a/../b",
    "http://127.0.0.1/a/%2e%2e/b",
    "http://127.0.0.1/./b",
    "http://127.0.0.1/.",
    "http://127.0.0.1/a/..",
    "http://127.0.0.1/c b",
    "http://127.0.0.1/cb\r\nSet-Cookie: a=b",
    "http://127.0.0.1/\u{202e}cb",
    "http://127.0.0.1/cb\0",
    "http://127.0.0.1/%",
    "http://127.0.0.1/%zz",
    "http://127.0.0.1/\"><script>",
    "http://127.0.0.1/cb?code=mine",
    "http://127.0.0.1/cb?x=1&st%61te=mine",
    "http://127.0.0.1/cb?iss=https://evil.example",
];

#[test]
fn no_trick_is_admitted() {
    for trick in TRICKS {
        assert_eq!(policy().admit(trick), None, "{trick:?}");
    }
    let long = format!("http://127.0.0.1/{}", "a".repeat(MAX_URI_BYTES));
    assert_eq!(policy().admit(&long[..=MAX_URI_BYTES]), None);
    assert!(policy().admit(&long[..MAX_URI_BYTES]).is_some());
}

#[test]
fn no_trick_is_covered_by_an_honest_registration() {
    let registered: Vec<_> = KNOWN_HOSTS
        .iter()
        .chain(&["http://127.0.0.1/cb", "http://localhost/cb", "http://[::1]/cb"])
        .map(|uri| policy().admit(uri).unwrap())
        .collect();
    for trick in TRICKS.iter().filter(|trick| !trick.is_empty()) {
        assert_eq!(policy().choose(&registered, Some(trick)), None, "{trick:?}");
    }
}

#[test]
fn honest_addresses_are_admitted() {
    for uri in KNOWN_HOSTS {
        assert!(policy().admit(uri).is_some(), "{uri}");
    }
    for uri in [
        "http://127.0.0.1",
        "http://127.0.0.1/",
        "http://127.0.0.1:33418",
        "http://127.0.0.1:33418/",
        "http://127.0.0.1:80/cb",
        "http://127.0.0.1:1/cb",
        "http://localhost:65535/oauth/callback?session=1",
        "http://localhost?x=1",
        "http://[::1]:4000/a%20b",
        "http://localhost:6274/oauth/callback/debug",
    ] {
        assert!(policy().admit(uri).is_some(), "{uri}");
    }
}

#[test]
fn our_own_listener_is_never_a_client() {
    let own = policy_at("http://127.0.0.1:3000");
    for uri in ["http://127.0.0.1:3000/cb", "http://localhost:3000/cb", "http://[::1]:3000/cb"] {
        assert_eq!(own.admit(uri), None, "{uri}");
    }
    let registered = [own.admit("http://localhost/cb").unwrap()];
    assert_eq!(own.choose(&registered, Some("http://localhost:3000/cb")), None);
    assert!(own.choose(&registered, Some("http://localhost:3001/cb")).is_some());
    assert_eq!(policy_at("http://localhost").admit("http://127.0.0.1/cb"), None);
    for base in [
        "http://localhost:3000",
        "http://app.localhost:3000",
        "http://127.0.0.2:3000",
        "http://0.0.0.0:3000",
        "http://[::1]:3000",
        "http://[::]:3000",
    ] {
        for (uri, is_own) in
            [("http://127.0.0.1:3000/cb", true), ("http://127.0.0.1:3001/cb", false)]
        {
            assert_eq!(policy_at(base).admit(uri).is_none(), is_own, "{base} {uri}");
        }
    }
    for base in ["http://prs.example:3000", "http://10.0.0.1:3000", "http://[2606:4700::1]:3000"] {
        assert!(policy_at(base).admit("http://127.0.0.1:3000/cb").is_some(), "{base}");
    }
    // Elsewhere that port is the person's own.
    assert!(policy().admit("http://127.0.0.1:3000/cb").is_some());
}

#[test]
fn only_the_port_may_differ_and_only_on_this_computer() {
    let policy = policy();
    let admit = |uri: &str| policy.admit(uri).unwrap();
    let chosen = |registered: &str, requested: &str| {
        policy.choose(&[admit(registered)], Some(requested)).map(|uri| uri.0)
    };
    for (registered, requested) in [
        ("http://127.0.0.1/cb", "http://127.0.0.1:5000/cb"),
        ("http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb"),
        ("http://127.0.0.1/", "http://127.0.0.1:33418"),
        ("http://127.0.0.1:33418", "http://127.0.0.1:1/"),
        ("http://[::1]/cb?x=1", "http://[::1]:9/cb?x=1"),
    ] {
        assert_eq!(chosen(registered, requested).as_deref(), Some(requested));
    }
    for (registered, requested) in [
        ("http://127.0.0.1/cb", "http://localhost:5000/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:5000/cb/"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:5000/cB"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:5000/cb?x=1"),
        ("http://127.0.0.1/", "http://127.0.0.1//"),
        ("http://127.0.0.1/cb", "https://vscode.dev/redirect"),
        ("https://vscode.dev/redirect", "https://insiders.vscode.dev/redirect"),
    ] {
        assert_eq!(chosen(registered, requested), None, "{requested}");
    }
    let two = [admit("http://127.0.0.1/cb"), admit("https://vscode.dev/redirect")];
    assert_eq!(policy.choose(&two, None), None);
    assert_eq!(policy.choose(&two[..1], None), Some(two[0].clone()));
    assert_eq!(policy.choose(&[], None), None);
}

#[test]
fn answers_are_added_and_receivers_named() {
    let location =
        |uri: &str| policy().admit(uri).unwrap().answer(&[("code", "a b&c=d\r\n"), ("state", "")]);
    assert_eq!(
        location("cursor://anysphere.cursor-mcp/oauth/callback").as_str(),
        "cursor://anysphere.cursor-mcp/oauth/callback?code=a+b%26c%3Dd%0D%0A"
    );
    assert_eq!(
        location("http://[::1]:1/x?y=1").as_str(),
        "http://[::1]:1/x?y=1&code=a+b%26c%3Dd%0D%0A"
    );
    let receiver = |uri: &str| policy().admit(uri).unwrap().receiver();
    assert_eq!(receiver("http://localhost:1/"), Receiver::Program);
    assert_eq!(
        receiver("cursor://anysphere.cursor-mcp/oauth/callback"),
        Receiver::Scheme("cursor".into())
    );
    assert_eq!(receiver("https://vscode.dev/redirect"), Receiver::Host("vscode.dev".into()));
}

/// Addresses put together from the pieces that confuse readers.
fn odd_address() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "http:",
        "https:",
        "cursor:",
        "javascript:",
        "/",
        "//",
        "\\",
        "@",
        ":",
        "?",
        "#",
        "%",
        "%2f",
        "..",
        ".",
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[",
        "]",
        "claude.ai",
        "evil.example",
        "prs.example",
        "80",
        "443",
        "3000",
        "cb",
        "code=",
        "&",
        "=",
        "\t",
        "\n",
        "\0",
        "\u{3002}",
        "\u{ff0f}",
        "ß",
        "0x7f.1",
        "127.1",
        "http://127.0.0.1",
        "http://localhost:",
    ]);
    prop_oneof![
        3 => prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat()),
        1 => ".{0,60}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn nothing_admitted_leads_to_a_stranger(uri in odd_address()) {
        let own = policy_at("http://127.0.0.1:3000");
        let registered = [own.admit("http://127.0.0.1/cb").unwrap(), own.admit("http://localhost").unwrap()];
        for admitted in own.admit(&uri).into_iter().chain(own.choose(&registered, Some(&uri))) {
            let answer = admitted.answer(&[("code", "x"), ("state", "y")]);
            prop_assert!(answer.as_str().bytes().all(|b| (0x21..0x7f).contains(&b)));
            let url = Url::parse(answer.as_str()).unwrap();
            if KNOWN_HOSTS.contains(&uri.as_str()) { continue }
            prop_assert_eq!(url.scheme(), "http");
            prop_assert!(["127.0.0.1", "localhost", "[::1]"].contains(&url.host_str().unwrap()));
            prop_assert_ne!(url.port_or_known_default(), Some(3000));
            prop_assert_eq!(url.fragment(), None);
            prop_assert_eq!(url.query_pairs().filter(|(name, _)| name == "code").count(), 1);
        }
    }
}
