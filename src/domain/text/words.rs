//! The words that decide what a dotted or bracketed word is. Each table is one string of words
//! between spaces, in alphabetical order.

/// Schemes that do something even without `//`.
pub(super) const SCHEMES: &str = "\
    about blob cursor data facetime file ftp ftps git http https intent itms javascript magnet \
    mailto ms-settings search-ms skype slack sms ssh tel vbscript view-source vscode ws wss xmpp";

/// Last labels that make a host of a dotted word.
pub(super) const TOP_LEVEL: &str = "\
    academy agency art asia auction bank bar best bid biz blog buzz cam casino cfd chat click \
    cloud club codes college com community coop cyou dating dev digital edu email example expert \
    finance foundation fun gdn gov guru icu info institute int internal invalid kim loan lol ltd \
    marketing mil mobi mom monster museum net news ninja onion online org party photos pics pro \
    pub quest racing rip rocks sale sbs school sex shop site social software solutions space \
    studio surf tech technology tel tips top town trade vip wang webcam website wtf xxx xyz zone";

/// The countries' among them.
/// Source: the root zone database, <https://www.iana.org/domains/root/db>
pub(super) const COUNTRIES: &str = "\
    ac ad ae af ag ai al am ao aq ar at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt \
    bw by bz ca cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm dz ec ee eg er es \
    et eu fi fj fk fm fo fr ga gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht \
    hu ie il im io iq ir it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt \
    lu lv ly ma mc me mg mh mk mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np \
    nr nu nz om pa pe pf pg ph pk pn pr pt pw qa re ro ru rw sa sb sc sd se sg si sk sl sm sn sr \
    ss su sv sx sy sz tc td tg th tj tk tl tm tn tr tt tv tw tz ua ug uk us uy uz va vc ve vg vn \
    vu wf ws ye yt za zm zw";

/// Top-level domains that more often end a file's name or are a member in code: kept as code,
/// where no renderer makes a link, and a link only if a path follows.
pub(super) const CODE_TOO: &str = "\
    app as auto bio call cards care cash cc country date day design direct do download earth \
    energy events express fit fund games global group health help here host id in ink is jobs \
    life link live map market md media ml mm money mov name network next now one open page pl \
    play plus post press ps py report rest review rs run save science services sh show so st \
    store stream style support systems team tf to today tools tours travel vi win work works \
    world zip";

/// Endings that are files and no domains: a path may go on after them.
pub(super) const FILES_ONLY: &str = "\
    c cpp cs css cxx go h hpp html java js json jsx kt lock php rb swift toml ts tsx txt xml \
    yaml yml";

/// HTML elements whose tags are dropped; other words in angle brackets (type parameters) are kept.
pub(super) const ELEMENTS: &str = "\
    a abbr address applet area article aside audio b base bdi bdo big blink blockquote body br \
    button canvas caption center cite code dd del details dialog div dl dt em embed fieldset \
    figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html i iframe image \
    img input ins kbd label li link main map mark marquee math meta nav noscript object ol p \
    param picture pre q s samp script section select slot small source span strike strong style \
    sub summary sup svg table tbody td template textarea tfoot th thead title tr track tt u ul \
    var video wbr xml xmp";

/// Products and namespaces that are called like a host: kept as code.
pub(super) const PRODUCTS: &str = "ado.net asp.net socket.io system.io system.net vb.net";

/// Is `word` one of the words of `table`?
pub(super) fn has(table: &str, word: &str) -> bool {
    !word.is_empty() && table.split(' ').any(|one| one == word)
}

/// All tables, for the test of their order.
#[cfg(test)]
pub(super) const TABLES: &[&str] =
    &[SCHEMES, TOP_LEVEL, COUNTRIES, CODE_TOO, FILES_ONLY, PRODUCTS, ELEMENTS];
