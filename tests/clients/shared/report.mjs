//! One line per check, and at the end `N passed, N failed`. A check that fails ends its scenario, because what follows
//! builds on it; the other scenarios still run.
import assert from "node:assert/strict";

class StepFailed extends Error {}

export class Report {
  #passed = 0;
  #failed = 0;
  #client;
  #scenario = "";

  /** `client` names the program under test in every line. */
  constructor(client) {
    this.#client = client;
  }

  async scenario(name, body) {
    this.#scenario = name;
    try {
      await body();
    } catch (error) {
      // Whatever broke between two checks is a failure of its own; a failed check has been counted already.
      if (!(error instanceof StepFailed)) this.#fail("runs to its end", error);
    }
  }

  /** Runs one check and hands its value on. */
  async check(name, body) {
    try {
      const value = await body();
      this.#passed += 1;
      console.log(`ok    ${this.#client} · ${this.#scenario} · ${name}`);
      return value;
    } catch (error) {
      this.#fail(name, error);
      throw new StepFailed();
    }
  }

  #fail(name, error) {
    this.#failed += 1;
    console.log(`FAIL  ${this.#client} · ${this.#scenario} · ${name}`);
    console.log(`      ${describe(error).replaceAll("\n", "\n      ")}`);
  }

  /** Prints the total and ends the program, whatever streams are still open. A run that checked nothing has failed. */
  close() {
    if (this.#passed + this.#failed === 0) this.#fail("checks something", new Error("no check was run"));
    console.log(`${this.#passed} passed, ${this.#failed} failed`);
    process.exit(this.#failed > 0 ? 1 : 0);
  }
}

function describe(error) {
  if (error instanceof assert.AssertionError) return error.message;
  return error?.stack ?? String(error);
}

/** A setting of the run, from the environment; without it there is nothing to test. */
export function required(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set. Start a server with: cargo run --example quickstart -- --serve`);
    process.exit(2);
  }
  return value;
}

/** Fails when `promise` has not settled in time, so that a server that hangs cannot hang the whole run. */
export async function within(seconds, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${seconds} s`)), seconds * 1000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
