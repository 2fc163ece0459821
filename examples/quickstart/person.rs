//! A person with a browser: opens the link, reads, presses the buttons.

use std::{error::Error, io};

use crate::{
    fakes::{Browser, Page},
    print::Paint,
    say,
    scene::Scene,
};

/// Links the account of `login` by the link that the assistant was given.
pub(crate) async fn approve(
    link: &str,
    login: &str,
    scene: &Scene,
    paint: Paint,
) -> Result<(), Box<dyn Error>> {
    let browser = Browser::new();
    let asked = browser.get(link).await;
    let tell = |what: &str, page: &Page| report(what, page, scene, paint);
    tell("opens the link", &asked)?;
    let consent = press(&browser, &asked, "Connect GitHub").await?;
    tell("presses “Connect GitHub”", &consent)?;
    let button = format!("Authorize as {login}");
    let connected = press(&browser, &consent, &button).await?;
    tell(&format!("presses “{button}”"), &connected)?;
    if connected.status == 200 && connected.says(&format!("Connected as @{login}")) {
        return Ok(());
    }
    Err(format!("The way ended at “{}”.", connected.title).into())
}

async fn press(browser: &Browser, page: &Page, button: &str) -> Result<Page, Box<dyn Error>> {
    if page.form_with(button).is_none() {
        return Err(format!("“{}” has no button “{button}”.", page.title).into());
    }
    Ok(browser.press(page, button).await)
}

/// What the person did, and through which addresses it led to which page. The addresses are shown
/// without their parameters, which are secrets where they are not invented.
fn report(what: &str, page: &Page, scene: &Scene, paint: Paint) -> io::Result<()> {
    say(format!("   {what}"))?;
    for hop in page.chain.iter().skip(1) {
        let place = format!("→ {:<13} {}", scene.whose(&hop.url), hop.url.path());
        say(format!("     {}", paint.dim(&place)))?;
    }
    say(format!("     and sees: {}", heading(page)))
}

fn heading(page: &Page) -> &str {
    let headed = page.body.split_once("<h1>").and_then(|(_, rest)| rest.split_once("</h1>"));
    headed.map_or(page.title.as_str(), |(heading, _)| heading)
}
