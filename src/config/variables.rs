//! The table of variables: the one place where a setting's name, default and meaning are written.

/// One environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The heading it stands under.
    pub section: &'static str,
    /// What holds when it is unset.
    pub fallback: Fallback,
    /// Its value is never shown.
    pub secret: bool,
    /// What it does, in a sentence or two of Markdown.
    pub summary: &'static str,
}

/// What holds when a variable is unset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// The variable must be set; the words say when.
    Required(&'static str),
    /// This value.
    Value(&'static str),
    /// Something these words describe.
    Described(&'static str),
}

const GITHUB: &str = "GitHub, each person with their own account";
const TOKEN: &str = "GitHub, with one token on your own machine";
const LLM: &str = "The language model";
const SERVER: &str = "The server";
const OAUTH: &str = "Signing in (oauth mode)";
const SUMMARIES: &str = "Summaries";
const LOGS: &str = "Logs";

const UNLESS_TOKEN: Fallback = Fallback::Required("required, unless `GITHUB_TOKEN` is set");

/// Every variable this program reads, in the order of the documentation.
pub const VARIABLES: &[Variable] = &[
    plain(
        GITHUB,
        "SCALEKIT_ENVIRONMENT_URL",
        UNLESS_TOKEN,
        "The address of your Scalekit environment, `https://….scalekit.com` (dashboard → Settings → API credentials).",
    ),
    plain(GITHUB, "SCALEKIT_CLIENT_ID", UNLESS_TOKEN, "The client ID from the same page."),
    secret(GITHUB, "SCALEKIT_CLIENT_SECRET", UNLESS_TOKEN, "The client secret from the same page."),
    plain(
        GITHUB,
        "GITHUB_CONNECTION_NAME",
        UNLESS_TOKEN,
        "The name of the GitHub connection in the Scalekit dashboard.",
    ),
    secret(
        TOKEN,
        "GITHUB_TOKEN",
        Fallback::Described("none"),
        "A GitHub token. Needs no Scalekit: the server then reads GitHub as this token's owner and serves one person (`single-user`).",
    ),
    plain(
        TOKEN,
        "GITHUB_API_URL",
        Fallback::Value("https://api.github.com"),
        "GitHub's API for `GITHUB_TOKEN`; GitHub Enterprise Server's is `https://HOST/api/v3`.",
    ),
    secret(
        LLM,
        "OPENAI_API_KEY",
        Fallback::Described("none"),
        "The key for the language model. Without it and without `OPENAI_BASE_URL` the server answers extracts, marked as such, in place of written summaries.",
    ),
    plain(
        LLM,
        "OPENAI_BASE_URL",
        Fallback::Described("OpenAI's"),
        "Anything that speaks chat completions: OpenAI, Azure (with its `?api-version=…`), LiteLLM, Ollama (`http://127.0.0.1:11434/v1`).",
    ),
    plain(LLM, "OPENAI_MODEL", Fallback::Value("gpt-4.1-mini"), "The model's name."),
    plain(
        LLM,
        "LLM_PRIVATE",
        Fallback::Value("on"),
        "`off` keeps the text of private repositories away from the language model: they get extracts, and the answer says so.",
    ),
    plain(
        LLM,
        "LLM_DAILY_TOKENS",
        Fallback::Described("no limit"),
        "How many tokens, read and written, each caller may cost in a day (UTC); beyond it they get extracts. From 1000.",
    ),
    plain(
        SERVER,
        "PORT",
        Fallback::Value("3000"),
        "The port to listen on. With `stdio` that of the pages: any free one, unless it is set.",
    ),
    plain(
        SERVER,
        "HOST",
        Fallback::Value("127.0.0.1"),
        "The address to listen on: a loopback address, but in `oauth` mode any (`0.0.0.0` in a container).",
    ),
    plain(
        SERVER,
        "PUBLIC_BASE_URL",
        Fallback::Described("`RENDER_EXTERNAL_URL`, else `http://HOST:PORT`"),
        "The origin under which browsers and agents reach the server: scheme, host and port, nothing behind them. Every link is made from it, no header of a proxy is. `https://`, but for this machine's own loopback names.",
    ),
    plain(SERVER, "RENDER_EXTERNAL_URL", Fallback::Described("none"), "Set by Render, not by you."),
    plain(
        SERVER,
        "AUTH_MODE",
        Fallback::Described(
            "`single-user` with `GITHUB_TOKEN` or `stdio`, `oauth` when `PUBLIC_BASE_URL` is https, else `session`",
        ),
        "Who the caller is: `session` (each MCP session its own person; this machine only), `single-user` (one person for the machine, behind a local key) or `oauth` (the GitHub user who signed in; the only mode in which others may reach the server).",
    ),
    secret(
        SERVER,
        "SESSION_SECRET",
        Fallback::Described(
            "made at the first start and kept in `STATE_DIR`; required in `oauth` mode and with Redis",
        ),
        "Signs cookies and sealed state, and seals what is kept; 32 bytes or more. To rotate, write `new,old`: the first signs and seals, all are accepted.",
    ),
    secret(
        SERVER,
        "LOCAL_KEY",
        Fallback::Described("made at the first start and kept in `STATE_DIR`"),
        "The Bearer key that agents send in `single-user` mode; 32 characters or more. `off` lets every program of this machine in.",
    ),
    plain(
        SERVER,
        "STATE_DIR",
        Fallback::Described("the platform's state folder"),
        "Where the store and the keys are kept. Made with access for its owner only.",
    ),
    secret(
        SERVER,
        "STORE_URL",
        Fallback::Described("`sqlite:` in `STATE_DIR`"),
        "Where connections are kept: `sqlite:` followed by a path, `redis://user:password@host:6379/0` (`rediss://` for TLS; Redis 6.2 or newer, or Valkey), or `memory:` (gone after a restart). Values are sealed with a key made from `SESSION_SECRET`.",
    ),
    plain(
        SERVER,
        "INSTANCES",
        Fallback::Value("1"),
        "How many instances of the server share the store. More than one need Redis; processes of one machine may share the SQLite file, and count as one.",
    ),
    plain(
        OAUTH,
        "OAUTH_REDIRECT_URIS",
        Fallback::Described("none"),
        "Redirect URIs of MCP hosts besides the known ones, compared exactly, separated by commas or spaces: `https://…`, or a program's own scheme such as `com.example.app://callback`. Loopback addresses are always allowed.",
    ),
    plain(
        OAUTH,
        "OAUTH_CLIENT_ID_ORIGINS",
        Fallback::Described("none"),
        "Origins besides the known ones at which MCP hosts publish a client-id metadata document, separated by commas or spaces. The server fetches from no others.",
    ),
    plain(
        SUMMARIES,
        "SUMMARY_DEADLINE_SECONDS",
        Fallback::Value("45"),
        "How long one call may take; what is not written by then is ready for the next call. From 5 to 300.",
    ),
    plain(
        SUMMARIES,
        "DIFF_BUDGET_CHARS",
        Fallback::Value("14000"),
        "How many characters of each diff the model reads. From 1000 to 200000.",
    ),
    secret(
        LOGS,
        "METRICS_TOKEN",
        Fallback::Described("no metrics"),
        "Whoever shows this Bearer token gets Prometheus metrics at `/metrics`, under any `Host`; 32 characters or more.",
    ),
    plain(
        LOGS,
        "LOG_FORMAT",
        Fallback::Value("text"),
        "`text` for people, `json` for programs. Logs go to standard error.",
    ),
    plain(
        LOGS,
        "RUST_LOG",
        Fallback::Value("info"),
        "What is logged: a level, or `target=level` for a part, separated by commas. Libraries that could log secrets are never louder than `warn`.",
    ),
];

/// The variable of this name.
pub(super) fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

const fn plain(
    section: &'static str,
    name: &'static str,
    fallback: Fallback,
    summary: &'static str,
) -> Variable {
    Variable { name, section, fallback, secret: false, summary }
}

const fn secret(
    section: &'static str,
    name: &'static str,
    fallback: Fallback,
    summary: &'static str,
) -> Variable {
    Variable { name, section, fallback, secret: true, summary }
}
