//! How much of a change the packing shows, measured on real pull requests.

use pr_summarizer::summarize::pack::pack;

use crate::corpus;

#[test]
fn packing_shows_what_authors_name() {
    let Some(samples) = corpus::load() else {
        println!("skipped: no corpus (set CORPUS to its folder)");
        return;
    };
    for (budget, floor) in [(3_000, 73.0), (6_000, 89.0), (12_000, 95.0), (24_000, 98.0)] {
        let packed = corpus::recall(&samples, |sample| pack(&sample.diff, budget).text);
        let head = corpus::recall(&samples, |sample| corpus::head(sample, budget));
        println!("{budget:>6} characters: packed {packed:.1} %, head {head:.1} %");
        assert!(packed >= floor, "{packed:.1} % at {budget}, expected {floor} %");
        assert!(packed >= head, "{packed:.1} % at {budget}, the head has {head:.1} %");
    }
}
