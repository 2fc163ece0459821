//! Holds our GraphQL against GitHub's published schema: the fake's subset must be a true subset, and every document that
//! we send must be valid. Documents are the `.graphql` files of the reader, and those that `cargo test` writes to
//! `target/graphql-documents` because they are composed in Rust.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { schema as github } from "@octokit/graphql-schema";
import {
  NoDeprecatedCustomRule,
  buildSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
  isSpecifiedScalarType,
  isUnionType,
  parse,
  specifiedRules,
  validate,
} from "graphql";
import { Report } from "../shared/report.mjs";

const root = resolve(import.meta.dirname, "../../..");
const target = process.env.CARGO_TARGET_DIR ? resolve(root, process.env.CARGO_TARGET_DIR) : join(root, "target");
const subsetFile = join(root, "tests/fakes/github/schema.graphql");
const documentFolders = [join(root, "src/upstream/github"), join(target, "graphql-documents")];

// The published text defines two fields of a type that we never touch twice over; the same definition, so no harm.
const real = buildSchema(github.idl, { assumeValidSDL: true });
const report = new Report("graphql");

/** Every way in which `ours` differs from what GitHub's type of that name says. */
function differences(ours) {
  const theirs = real.getType(ours.name);
  if (!theirs) return ["GitHub has no such type"];
  if (theirs.constructor.name !== ours.constructor.name) return [`GitHub's is a ${theirs.astNode?.kind}`];
  const found = [];
  if (isObjectType(ours) || isInterfaceType(ours)) {
    const interfaces = theirs.getInterfaces().map(String);
    for (const one of ours.getInterfaces()) if (!interfaces.includes(String(one))) found.push(`does not implement ${one}`);
    for (const field of Object.values(ours.getFields())) found.push(...fieldDifferences(field, theirs.getFields()[field.name]));
  } else if (isInputObjectType(ours)) {
    found.push(...inputDifferences(Object.values(ours.getFields()), Object.values(theirs.getFields()), isRequiredInputField, ""));
  } else if (isEnumType(ours)) {
    for (const { name } of ours.getValues()) if (!theirs.getValue(name)) found.push(`GitHub has no value ${name}`);
  } else if (isUnionType(ours)) {
    const members = theirs.getTypes().map(String);
    for (const member of ours.getTypes()) if (!members.includes(String(member))) found.push(`${member} is no member`);
  }
  return found;
}

function fieldDifferences(ours, theirs) {
  if (!theirs) return [`GitHub has no field ${ours.name}`];
  const found = [];
  if (String(ours.type) !== String(theirs.type)) found.push(`${ours.name} is ${ours.type}, GitHub's is ${theirs.type}`);
  found.push(...inputDifferences(ours.args, theirs.args, isRequiredArgument, `${ours.name}: `));
  return found;
}

/** Arguments of a field, or fields of an input: ours exist with the same type, and none that GitHub requires is missing. */
function inputDifferences(ours, theirs, isRequired, where) {
  const found = [];
  for (const one of ours) {
    const same = theirs.find((candidate) => candidate.name === one.name);
    if (!same) found.push(`${where}GitHub takes no ${one.name}`);
    else if (String(one.type) !== String(same.type)) found.push(`${where}${one.name} is ${one.type}, GitHub's is ${same.type}`);
  }
  for (const one of theirs) {
    if (isRequired(one) && !ours.some((candidate) => candidate.name === one.name)) found.push(`${where}GitHub requires ${one.name}`);
  }
  return found;
}

function documents() {
  return documentFolders
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).filter((name) => name.endsWith(".graphql")).sort().map((name) => join(folder, name)));
}

const subset = buildSchema(readFileSync(subsetFile, "utf8"));

await report.scenario("the fake's schema is a part of GitHub's", async () => {
  const types = Object.values(subset.getTypeMap()).filter((type) => !type.name.startsWith("__") && !isSpecifiedScalarType(type));
  const wrong = types.flatMap((type) => differences(type).map((difference) => `${type.name}: ${difference}`));
  await report.check(`${types.length} types`, () => assert.deepEqual(wrong, []));
});

const files = documents();
await report.scenario("documents", async () => {
  await report.check(`${files.length} to validate`, () => {
    assert.ok(files.length > 0, `no .graphql file in ${documentFolders.join(" or ")}; \`cargo test --test it\` writes them`);
  });
});
for (const file of files) {
  await report.scenario(basename(file), async () => {
    const document = parse(readFileSync(file, "utf8"));
    const complaints = (schema, rules) => validate(schema, document, rules).map((error) => error.message);
    await report.check("is valid at GitHub and uses nothing deprecated", () => {
      assert.deepEqual(complaints(real, [...specifiedRules, NoDeprecatedCustomRule]), []);
    });
    await report.check("is valid at the fake", () => assert.deepEqual(complaints(subset), []));
  });
}
report.close();
