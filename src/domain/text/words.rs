//! The words that decide what a dotted or bracketed word is. Each table is one string of words
//! between spaces, in alphabetical order.

/// Schemes that do something even without `//`.
pub(super) const SCHEMES: &str = "\
    about aim bitcoin blob callto chrome chrome-extension cursor data dav ethereum facetime \
    feed file ftp ftps geo git github-mac gopher http https intent irc ircs itms itms-apps \
    itms-services jar javascript lightning livescript macappstore magnet mailto market \
    microsoft-edge mms monero moz-extension ms-access ms-cxh ms-excel ms-msdt ms-officecmd \
    ms-powerpoint ms-settings ms-word msteams nfs nntp notion obsidian onenote rtsp \
    search-ms sftp sgn shortcuts sip sips skype slack smb sms spotify ssh steam svn \
    systempreferences tel telnet tg ts3server urn vbscript ventrilo view-source vscode \
    vscode-insiders webcal whatsapp ws wss x-github-client xmpp ymsgr zoommtg zoomus";

/// Last labels that make a host of a dotted word.
pub(super) const TOP_LEVEL: &str = "\
    academy agency art asia auction bank bar best bid biz blog buzz cam casino cfd chat \
    click cloud club codes college com community coop cyou dating dev digital edu email \
    example expert finance foundation fun gdn gov guru icu info institute int internal \
    invalid kim loan localhost lol ltd marketing mil mobi mom monster museum net news ninja \
    onion online org party photos pics pro pub quest racing rip rocks sale sbs school sex \
    shop site social software solutions space studio surf tech technology tel tips top town \
    trade vip wang webcam website wtf xxx xyz zone";

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

/// Those in other scripts.
/// Source: the same.
pub(super) const OTHER_SCRIPTS: &str = "\
    ελ ευ бг бел дети ею ком мкд мон москва онлайн орг рус рф сайт срб укр қаз հայ ישראל קום \
    ابوظبي الاردن البحرين الجزائر السعودية المغرب امارات ایران بارت بازار بيتك بھارت تونس \
    سودان سورية شبكة عراق عمان فلسطين قطر كوم مصر مليسيا موريتانيا موقع همراه پاکستان कॉम \
    नेट भारत संगठन বাংলা ভারত ਭਾਰਤ ભારત இந்தியா இலங்கை சிங்கப்பூர் భారత్ ಭಾರತ ഭാരതം ලංකා คอม \
    ไทย ລາວ გე みんな アマゾン クラウド グーグル コム ストア セール ファッション ポイント 世界 中信 中国 中國 中文网 企业 佛山 信息 健康 公司 公益 \
    台湾 台灣 商城 商店 商标 嘉里 在线 大拿 天主教 娱乐 家電 广东 微博 慈善 我爱你 手机 招聘 政务 政府 新加坡 新闻 时尚 書籍 机构 游戏 澳門 点看 移动 \
    组织机构 网址 网店 网站 网络 联通 谷歌 购物 通販 集团 電訊盈科 飞利浦 食品 餐厅 香格里拉 香港 닷넷 닷컴 삼성 한국";

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

/// Is `word` one of the words of `table`? Asked for every word with a dot or a colon: it searches
/// the table as one text instead of splitting it.
pub(super) fn has(table: &str, word: &str) -> bool {
    let is_whole = |at: usize| {
        let before = table.get(..at).unwrap_or_default();
        let after = table.get(at + word.len()..).unwrap_or_default();
        (before.is_empty() || before.ends_with(' ')) && (after.is_empty() || after.starts_with(' '))
    };
    !word.is_empty() && !word.contains(' ') && table.match_indices(word).any(|(at, _)| is_whole(at))
}

/// All tables, for the test of their order.
#[cfg(test)]
pub(super) const TABLES: &[&str] =
    &[SCHEMES, TOP_LEVEL, COUNTRIES, OTHER_SCRIPTS, CODE_TOO, FILES_ONLY, PRODUCTS, ELEMENTS];
