//! A person's browser as a command (BROWSER): approve.mjs [--decline] LINK, as PERSON.
import { Browser } from "./browser.mjs";
import { required } from "./report.mjs";

const [last, first] = process.argv.slice(2).reverse();
if (first === "--decline") await new Browser().decline(last);
else await new Browser().approve(last, required("PERSON"));
