//! The words of the table: what can be wrong, what is right, and where.

/// What is wrong with a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Badness {
    Missing,
    Doubled,
    /// 5,000 bytes.
    Oversize,
    /// JSON where text belongs, a number where text belongs in JSON.
    WrongType,
    NotUtf8,
    /// NUL, or in JSON and headers an unescaped control character.
    Control,
}

/// In the order of the table's columns.
pub const BADNESS: [Badness; 6] = {
    use Badness::{Control, Doubled, Missing, NotUtf8, Oversize, WrongType};
    [Missing, Doubled, Oversize, WrongType, NotUtf8, Control]
};

/// The right answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// As without the badness: the parameter is optional, or not read.
    Served,
    /// A page of this status, for programs a problem.
    Page(u16),
    /// As `Page`, and what was under way ends: it came from where it must not come from.
    Ends(u16),
    /// JSON of this status.
    Json(u16),
    /// A script of this status.
    Script(u16),
    /// Plain text of this status.
    Text(u16),
    /// A redirect, which the judge follows.
    Moved,
    /// OAuth's error to the client, status 400 (RFC 6749 section 5.2).
    Error(&'static str),
    /// The same for a body that is not read to its end, status 413.
    TooLong(&'static str),
    /// OAuth's error by redirect to the client's address (RFC 6749 section 4.1.2.1).
    Told(&'static str),
    /// JSON-RPC's error with this HTTP status.
    Rpc(u16, i64),
    /// This status and nothing else: the HTTP server's own.
    Bare(u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Query,
    Form,
    /// The last segment.
    Path,
    Cookie,
    Header,
    /// A member of the JSON body.
    Member,
}

pub struct Parameter {
    pub place: Place,
    pub name: &'static str,
    pub right: [Right; 6],
}

/// Where a route is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum In {
    Every,
    OAuth,
    Loopback,
}

pub struct Operation {
    /// Method, path as the router has it, and which of several ways to ask.
    pub name: &'static str,
    pub modes: In,
    /// The answer if all is well.
    pub good: Right,
    pub parameters: &'static [Parameter],
}
