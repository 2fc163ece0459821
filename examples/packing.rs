//! How much of a change the packing shows, beside cutting the head: `cargo run --example packing`.
//!
//! Reads the corpus from the folder in `CORPUS`, or `../shared/corpus`.

use pr_summarizer::summarize::pack::pack;

#[path = "../tests/it/corpus.rs"]
mod corpus;

fn main() {
    let Some(samples) = corpus::load() else {
        println!("There is no corpus: set CORPUS to the folder of pull_requests.jsonl.");
        return;
    };
    println!("Identifiers and paths named by the author that are left ({} diffs):", samples.len());
    println!("{:>10}  {:>8}  {:>8}", "characters", "packed", "head");
    for budget in [3_000, 6_000, 12_000, 14_000, 24_000] {
        let packed = corpus::recall(&samples, |sample| pack(&sample.diff, budget).text);
        let head = corpus::recall(&samples, |sample| corpus::head(sample, budget));
        println!("{budget:>10}  {packed:>6.1} %  {head:>6.1} %");
    }
}
