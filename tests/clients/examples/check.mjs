//! Runs each command of examples/README.md that says what it prints, and compares. Whoever opens a link is PERSON.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { required } from "../shared/report.mjs";

const LONGEST_MS = 280_000;
const root = path.resolve(import.meta.dirname, "../../..");
const readme = readFileSync(path.join(root, "examples/README.md"), "utf8");
const examples = [...readme.matchAll(/```sh\n([^`]*)\n```\n\n```text\n([^`]*)\n```/g)];

const environment = {
  ...process.env,
  MCP_URL: required("MCP_URL"),
  PERSON: required("PERSON"),
  BROWSER: `${process.execPath} ${path.join(root, "tests/clients/shared/approve.mjs")}`,
  PATH: `${path.join(root, "tests/clients/python/.venv/bin")}:${process.env.PATH}`,
  // Offline: a fake LLM, and the tests' story.
  CORPUS: "/nonexistent",
};
delete environment.OPENAI_API_KEY;
delete environment.OPENAI_BASE_URL;

/** What differs from run to run: times, ports, dates. Columns may be wider for it. */
const normal = (line) =>
  line
    .replace(/\d+\.\d s\b/g, "N s")
    .replace(/127\.0\.0\.1:\d+/g, "127.0.0.1:PORT")
    .replace(/(\d+|a) (second|minute|hour|day|week)s? ago/g, "N days ago")
    .replace(/ \d\.\d$/, " N")
    .trimEnd();

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** `…` alone on a line stands for any lines, within one for the rest of it. */
function expected(text) {
  const lines = text.split("\n").map(normal);
  const pattern = lines.map((line) => (line === "…" ? "(?:[^\\n]*\\n)*?" : `${line.split("…").map(escaped).join("[^\\n]*")}\\n`));
  return new RegExp(`^${pattern.join("")}$`);
}

if (examples.length < 6) throw new Error(`examples/README.md has ${examples.length} examples with their output`);
let failed = 0;
for (const [, command, text] of examples) {
  const ran = spawnSync("bash", ["-c", command], { cwd: root, env: environment, encoding: "utf8", timeout: LONGEST_MS });
  const printed = `${ran.stdout.split("\n").map(normal).join("\n").trimEnd()}\n`;
  if (ran.status === 0 && expected(text).test(printed)) {
    console.log(`ok      ${command}`);
    continue;
  }
  failed += 1;
  console.log(`FAILED  ${command}\n--- documented:\n${text}\n--- printed (${ran.status ?? ran.signal}):\n${ran.stdout}\n--- said beside it:\n${ran.stderr.slice(-2000)}`);
}
if (failed > 0) process.exit(1);
console.log(`examples: ${examples.length} commands print what examples/README.md says`);
