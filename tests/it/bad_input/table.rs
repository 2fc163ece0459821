//! Every route with every parameter, and the right answer to each kind of badness.

use super::kinds::Right::{
    Bare, Ends, Error, Json, Moved, Page, Rpc, Script, Served, Text, Told, TooLong,
};
pub use super::kinds::{BADNESS, Badness, In, Operation, Parameter, Place, Right};

/// Every route with the methods that it knows. HEAD comes with GET, but for where it must not.
pub const ROUTES: &[(&str, In, &[&str])] = &[
    ("/", In::Every, &["GET", "HEAD"]),
    ("/connect/{flow}", In::Every, &["GET", "HEAD", "POST"]),
    ("/connected", In::Every, &["GET", "HEAD", "POST"]),
    ("/user/verify", In::Every, &["GET"]),
    ("/digest", In::Every, &["POST"]),
    ("/page", In::Loopback, &["POST"]),
    ("/page.js", In::Every, &["GET", "HEAD"]),
    ("/standing", In::Loopback, &["POST"]),
    ("/favicon.ico", In::Every, &["GET", "HEAD"]),
    ("/healthz", In::Every, &["GET", "HEAD"]),
    ("/readyz", In::Every, &["GET", "HEAD"]),
    ("/metrics", In::Every, &["GET", "HEAD"]),
    ("/mcp", In::Every, &["POST", "DELETE"]),
    ("/person", In::OAuth, &["POST"]),
    ("/authorize", In::OAuth, &["GET", "HEAD", "POST"]),
    ("/token", In::OAuth, &["POST", "OPTIONS"]),
    ("/register", In::OAuth, &["POST", "OPTIONS"]),
    ("/revoke", In::OAuth, &["POST", "OPTIONS"]),
    ("/.well-known/oauth-authorization-server", In::OAuth, &["GET", "HEAD", "OPTIONS"]),
    ("/.well-known/oauth-protected-resource", In::OAuth, &["GET", "HEAD", "OPTIONS"]),
    ("/.well-known/oauth-protected-resource/mcp", In::OAuth, &["GET", "HEAD", "OPTIONS"]),
];

const fn row(place: Place, name: &'static str, right: [Right; 6]) -> Parameter {
    Parameter { place, name, right }
}

const INVALID: Right = Error("invalid_request");
const TOLD: Right = Told("invalid_request");
const METADATA: Right = Error("invalid_client_metadata");

/// What nobody reads.
const IGNORED: [Right; 6] = [Served; 6];
/// A browser's cookie on a page that can do without.
const COOKIE: [Right; 6] = [Served, Page(400), Served, Served, Served, Bare(400)];
/// The same with a form that was made for this cookie.
const FORM_COOKIE: [Right; 6] = [Page(403), Page(400), Page(403), Page(403), Page(403), Bare(400)];
/// A field of a form, of which none is longer than 4 KiB.
const FIELD: [Right; 6] = [Page(403), Page(400), Page(413), Page(403), Page(400), Page(400)];
/// The same of the consent form, which repeats the request.
const LONG_FIELD: [Right; 6] = [Page(403), Page(400), Page(403), Page(403), Page(400), Page(400)];
/// A field that may be left empty, and has one of a few values.
const CHOICE: [Right; 6] = [Served, Page(400), Page(413), Page(400), Page(400), Page(400)];
/// A field that is there or not, whatever it says.
const TICK: [Right; 6] = [Served, Page(400), Page(413), Served, Page(400), Page(400)];
/// From which page a form came; one of these two headers is enough, and none may say otherwise.
const FETCH_SITE: [Right; 6] = [Served, Page(403), Page(403), Page(403), Page(403), Bare(400)];
const ORIGIN: [Right; 6] = [Served, Page(403), Page(403), Page(403), Page(403), Bare(400)];
/// The last segment of a link.
const SEGMENT: [Right; 6] = [Page(404); 6];
/// What every navigation says.
const NAVIGATION: [Right; 6] = [Served, Page(403), Page(403), Page(403), Page(403), Bare(400)];
/// Parameters of `/authorize` and `/token` that this server does not know.
const UNKNOWN_TOLD: [Right; 6] = [Served, TOLD, Served, Served, TOLD, TOLD];
const UNKNOWN_ERROR: [Right; 6] = [Served, INVALID, Served, Served, INVALID, INVALID];
/// Members of a registration that are read, and those that are not.
const LIST: [Right; 6] = [Served, METADATA, METADATA, METADATA, METADATA, METADATA];
const UNREAD: [Right; 6] = [Served, Served, Served, Served, METADATA, METADATA];
const TARGET: &str = "invalid_target";

use Place::{Cookie, Form, Header, Member, Path, Query};

/// Columns: missing, doubled, oversize, wrong type, not UTF-8, control character.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "GET /connect/{flow}",
        modes: In::Every,
        good: Page(200),
        parameters: &[row(Path, "flow", SEGMENT), row(Cookie, "", COOKIE)],
    },
    Operation {
        name: "POST /connect/{flow}",
        modes: In::Every,
        good: Page(200),
        parameters: &[
            row(Path, "flow", SEGMENT),
            row(Form, "csrf", FIELD),
            row(Form, "use_again", [Served, Page(400), Page(413), Page(403), Page(400), Page(400)]),
            row(Header, "sec-fetch-site", FETCH_SITE),
            row(Header, "origin", ORIGIN),
            row(Cookie, "", FORM_COOKIE),
        ],
    },
    Operation {
        name: "GET /user/verify",
        modes: In::Every,
        good: Moved,
        parameters: &[
            row(Query, "state", [Page(400); 6]),
            row(Query, "auth_request_id", [Page(400); 6]),
            row(Query, "error", [Served, Page(400), Page(400), Page(400), Page(400), Page(400)]),
            row(Query, "unknown", IGNORED),
            row(Header, "sec-fetch-mode", NAVIGATION),
            row(Header, "sec-fetch-dest", NAVIGATION),
            // Only `prefetch` and its kind say that nobody looks.
            row(Header, "sec-purpose", [Served, Served, Served, Served, Served, Bare(400)]),
            // Another browser than the one that began.
            row(Cookie, "", [Ends(403), Page(400), Ends(403), Ends(403), Ends(403), Bare(400)]),
        ],
    },
    Operation {
        name: "GET /connected",
        modes: In::Every,
        good: Page(200),
        parameters: &[row(Query, "unknown", IGNORED), row(Cookie, "", COOKIE)],
    },
    Operation {
        name: "POST /connected",
        modes: In::Every,
        good: Moved,
        parameters: &[
            row(Form, "csrf", FIELD),
            row(Form, "account", FIELD),
            row(Header, "sec-fetch-site", FETCH_SITE),
            row(Header, "origin", ORIGIN),
            row(Cookie, "", FORM_COOKIE),
        ],
    },
    Operation {
        name: "GET /",
        modes: In::Loopback,
        good: Page(200),
        parameters: &[row(Query, "done", IGNORED), row(Cookie, "", COOKIE)],
    },
    Operation {
        name: "POST /digest",
        modes: In::Every,
        good: Page(200),
        parameters: &[
            row(Form, "csrf", FIELD),
            row(
                Form,
                "repository",
                [Page(400), Page(400), Page(413), Page(400), Page(400), Page(400)],
            ),
            row(Form, "limit", CHOICE),
            row(Form, "order", CHOICE),
            row(Form, "exclude_drafts", TICK),
            row(Form, "exclude_bots", TICK),
            row(Header, "sec-fetch-site", FETCH_SITE),
            row(Header, "origin", ORIGIN),
            row(Cookie, "", FORM_COOKIE),
        ],
    },
    Operation {
        name: "POST /page",
        modes: In::Loopback,
        good: Moved,
        parameters: &[
            row(Form, "csrf", FIELD),
            row(Form, "action", FIELD),
            // Read only with the button beside it.
            row(Form, "key", [Served, Served, Page(413), Served, Served, Served]),
            row(Header, "sec-fetch-site", FETCH_SITE),
            row(Header, "origin", ORIGIN),
            row(Cookie, "", FORM_COOKIE),
        ],
    },
    Operation {
        name: "POST /standing",
        modes: In::Loopback,
        good: Json(200),
        parameters: &[
            row(Form, "csrf", FIELD),
            row(Header, "sec-fetch-site", FETCH_SITE),
            row(Header, "origin", ORIGIN),
            row(Cookie, "", FORM_COOKIE),
        ],
    },
    Operation {
        name: "GET /page.js",
        modes: In::Every,
        good: Script(200),
        parameters: &[row(Query, "unknown", IGNORED)],
    },
    Operation {
        name: "GET /",
        modes: In::OAuth,
        good: Page(200),
        parameters: &[
            row(Query, "done", [Served, Page(400), Served, Served, Page(400), Page(400)]),
            row(Cookie, "", COOKIE),
        ],
    },
    Operation {
        name: "POST /person",
        modes: In::OAuth,
        good: Moved,
        parameters: &[
            row(Form, "csrf", FIELD),
            // Of whoever is not signed in (any more): their page is shown.
            row(
                Form,
                "account",
                [Page(409), Page(400), Page(413), Page(409), Page(400), Page(400)],
            ),
            row(Form, "action", FIELD),
            row(Form, "grant", FIELD),
            row(Header, "sec-fetch-site", FETCH_SITE),
            row(Header, "origin", ORIGIN),
            row(Cookie, "", FORM_COOKIE),
        ],
    },
    Operation {
        name: "GET /authorize",
        modes: In::OAuth,
        good: Page(200),
        parameters: &[
            // Until both are found good nobody is sent anywhere.
            row(Query, "client_id", [Page(400); 6]),
            row(
                Query,
                "redirect_uri",
                [Served, Page(400), Page(400), Page(400), Page(400), Page(400)],
            ),
            row(
                Query,
                "response_type",
                [
                    TOLD,
                    TOLD,
                    Told("unsupported_response_type"),
                    Told("unsupported_response_type"),
                    TOLD,
                    TOLD,
                ],
            ),
            row(Query, "response_mode", [Served, TOLD, TOLD, TOLD, TOLD, TOLD]),
            row(Query, "request", [Served, TOLD, TOLD, TOLD, TOLD, TOLD]),
            row(Query, "request_uri", [Served, TOLD, TOLD, TOLD, TOLD, TOLD]),
            row(Query, "code_challenge", [TOLD; 6]),
            row(Query, "code_challenge_method", [TOLD; 6]),
            // Any printable text is a state.
            row(Query, "state", [Served, TOLD, TOLD, Served, TOLD, TOLD]),
            row(
                Query,
                "scope",
                [Served, TOLD, Told("invalid_scope"), Told("invalid_scope"), TOLD, TOLD],
            ),
            // RFC 8707 section 2: invalid, unknown or malformed.
            row(
                Query,
                "resource",
                [Served, Told(TARGET), Told(TARGET), Told(TARGET), Told(TARGET), Told(TARGET)],
            ),
            row(Query, "unknown", UNKNOWN_TOLD),
            row(Cookie, "", COOKIE),
        ],
    },
    Operation {
        name: "POST /authorize",
        modes: In::OAuth,
        good: Page(200),
        parameters: &[
            row(Form, "request", LONG_FIELD),
            row(Form, "csrf", LONG_FIELD),
            row(Form, "decision", LONG_FIELD),
            row(Header, "sec-fetch-site", FETCH_SITE),
            row(Header, "origin", ORIGIN),
            row(Cookie, "", FORM_COOKIE),
        ],
    },
    Operation {
        name: "POST /token code",
        modes: In::OAuth,
        good: Json(200),
        parameters: &[
            row(Form, "grant_type", GRANT_TYPE),
            row(Form, "code", GRANT),
            row(Form, "client_id", CLIENT),
            row(
                Form,
                "redirect_uri",
                [
                    Error("invalid_grant"),
                    INVALID,
                    Error("invalid_grant"),
                    Error("invalid_grant"),
                    INVALID,
                    INVALID,
                ],
            ),
            row(Form, "code_verifier", GRANT),
            row(Form, "resource", RESOURCE),
            row(Form, "client_secret", UNKNOWN_ERROR),
        ],
    },
    Operation {
        name: "POST /token refresh",
        modes: In::OAuth,
        good: Json(200),
        parameters: &[
            row(Form, "grant_type", GRANT_TYPE),
            row(Form, "refresh_token", GRANT),
            row(Form, "client_id", CLIENT),
            row(
                Form,
                "scope",
                [Served, INVALID, Error("invalid_scope"), Error("invalid_scope"), INVALID, INVALID],
            ),
            row(Form, "resource", RESOURCE),
            row(Form, "unknown", UNKNOWN_ERROR),
        ],
    },
    Operation {
        name: "POST /revoke",
        modes: In::OAuth,
        good: Right::Bare(200),
        parameters: &[
            // RFC 7009 section 2.2: what is no token is revoked already.
            row(Form, "token", [INVALID, INVALID, Served, Served, INVALID, INVALID]),
            // Section 2.1: a hint may be ignored.
            row(Form, "token_type_hint", UNKNOWN_ERROR),
            row(
                Form,
                "client_id",
                [
                    INVALID,
                    INVALID,
                    Error("invalid_client"),
                    Error("invalid_client"),
                    INVALID,
                    INVALID,
                ],
            ),
        ],
    },
    Operation {
        name: "POST /register",
        modes: In::OAuth,
        good: Json(201),
        parameters: &[
            row(
                Member,
                "redirect_uris",
                [Error("invalid_redirect_uri"), METADATA, METADATA, METADATA, METADATA, METADATA],
            ),
            // Cut to 64 characters, and shown as a claim.
            row(Member, "client_name", [Served, METADATA, Served, METADATA, METADATA, METADATA]),
            row(Member, "grant_types", LIST),
            row(Member, "response_types", LIST),
            // RFC 7591 section 2: metadata that is not understood is ignored.
            row(Member, "token_endpoint_auth_method", UNREAD),
            row(Member, "scope", UNREAD),
            row(Member, "client_uri", UNREAD),
        ],
    },
    Operation {
        name: "GET /.well-known/oauth-authorization-server",
        modes: In::OAuth,
        good: Json(200),
        parameters: &[row(Query, "unknown", IGNORED)],
    },
    Operation {
        name: "GET /.well-known/oauth-protected-resource",
        modes: In::OAuth,
        good: Json(200),
        parameters: &[row(Query, "unknown", IGNORED)],
    },
    Operation {
        name: "GET /.well-known/oauth-protected-resource/mcp",
        modes: In::OAuth,
        good: Json(200),
        parameters: &[row(Query, "unknown", IGNORED)],
    },
    Operation {
        name: "GET /metrics",
        modes: In::Every,
        good: Text(200),
        parameters: &[
            row(Query, "unknown", IGNORED),
            row(
                Header,
                "authorization",
                [Text(401), Text(401), Text(401), Text(401), Text(401), Bare(400)],
            ),
        ],
    },
    Operation {
        name: "GET /healthz",
        modes: In::Every,
        good: Text(200),
        parameters: &[row(Query, "unknown", IGNORED)],
    },
    Operation {
        name: "GET /readyz",
        modes: In::Every,
        good: Text(200),
        parameters: &[row(Query, "unknown", IGNORED)],
    },
    Operation {
        name: "GET /favicon.ico",
        modes: In::Every,
        good: Bare(204),
        parameters: &[row(Query, "unknown", IGNORED)],
    },
    Operation {
        name: "POST /mcp",
        modes: In::Every,
        good: Json(200),
        parameters: &[
            row(Header, "mcp-session-id", SESSION),
            row(
                Header,
                "mcp-protocol-version",
                [Served, REFUSED, REFUSED, REFUSED, REFUSED, Bare(400)],
            ),
            row(
                Header,
                "content-type",
                [MEDIA_TYPE, REFUSED, MEDIA_TYPE, MEDIA_TYPE, MEDIA_TYPE, Bare(400)],
            ),
            // A list, which may come in several lines.
            row(
                Header,
                "accept",
                [ACCEPTABLE, Served, ACCEPTABLE, ACCEPTABLE, ACCEPTABLE, Bare(400)],
            ),
            row(Query, "unknown", IGNORED),
        ],
    },
    Operation {
        name: "DELETE /mcp",
        modes: In::Every,
        good: UNKNOWN_SESSION,
        parameters: &[row(Header, "mcp-session-id", SESSION)],
    },
];

/// Where a token or a key is asked for; elsewhere the header is not read.
pub const AUTHORIZATION: [Right; 6] = [ENTRY, ENTRY, ENTRY, ENTRY, ENTRY, Bare(400)];

/// On every route but the probes, which answer to any name.
pub const HOST: [Right; 6] = [Page(403), Page(403), Page(403), Page(403), Page(403), Bare(400)];

const REFUSED: Right = Rpc(400, -32600);
const ENTRY: Right = Rpc(401, -32600);
const MEDIA_TYPE: Right = Rpc(415, -32600);
const ACCEPTABLE: Right = Rpc(406, -32600);
const UNKNOWN_SESSION: Right = Rpc(404, -32001);
const SESSION: [Right; 6] =
    [REFUSED, REFUSED, UNKNOWN_SESSION, UNKNOWN_SESSION, UNKNOWN_SESSION, Bare(400)];

const GRANT_TYPE: [Right; 6] = [
    INVALID,
    INVALID,
    Error("unsupported_grant_type"),
    Error("unsupported_grant_type"),
    INVALID,
    INVALID,
];
const GRANT: [Right; 6] =
    [INVALID, INVALID, Error("invalid_grant"), Error("invalid_grant"), INVALID, INVALID];
const CLIENT: [Right; 6] =
    [INVALID, INVALID, Error("invalid_client"), Error("invalid_client"), INVALID, INVALID];
const RESOURCE: [Right; 6] =
    [Served, Error(TARGET), Error(TARGET), Error(TARGET), Error(TARGET), Error(TARGET)];

/// The answer to 300,000 bytes in this place of this route.
pub fn right_for_huge(place: Place, path: &str) -> Right {
    match (place, path) {
        (Place::Form | Place::Member, "/token" | "/revoke") => TooLong("invalid_request"),
        (Place::Form | Place::Member, "/register") => TooLong("invalid_client_metadata"),
        (Place::Form | Place::Member, _) => Page(413),
        // Heads are bounded before anything is read of them.
        _ => Bare(431),
    }
}
