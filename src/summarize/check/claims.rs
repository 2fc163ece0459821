//! Which sentences state how the reviews, the checks or the merge stand: a table per language.
//!
//! Code may approve, merge and pass as its subject matter, so a claim needs a pull request, its
//! people, its checks or its tests in the same breath. What is found by mistake costs a second call
//! of the LLM or its sentence; what is missed contradicts the facts beside it. The tests hold a
//! sentence for each line of the table, and one beside it that must pass.

use std::{collections::HashMap, sync::LazyLock};

use About::{Checks, Merge, Review};

/// What a claim is about, which the facts say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Approvals, requested changes, reviews that are waited for.
    Review,
    /// CI, checks, tests.
    Checks,
    /// Ready for it, done, or in conflict.
    Merge,
}

/// A language that summaries are checked in.
pub(super) struct Language {
    /// What it is called, in lower case: in English, by itself, and by its code (ISO 639-1).
    names: &'static [&'static str],
    /// Words stand apart.
    is_spaced: bool,
    /// What is looked for, as word sequences. `|` parts ways; `*` stands for up to two words; `^`
    /// before the first step is the sentence's beginning, `$` as a word its end. Without spaces
    /// between words the steps follow each other within a few characters.
    claims: &'static [(About, &'static str)],
}

#[cfg(test)]
impl Language {
    /// How many lines of the table it has.
    pub(super) fn lines(&self) -> usize {
        self.claims.len()
    }
}

pub(super) const LANGUAGES: &[Language] = &[
    Language {
        names: &["english", "en"],
        is_spaced: true,
        claims: &[
            (Merge, "ready|safe|good|cleared to|for * merge|merging|land|ship|go"),
            (
                Merge,
                "pr|request|change|changes|it|this|branch|work|patch * can|could|should|may|must|will \
                 * be * merged",
            ),
            (Review, "lgtm"),
            (
                Review,
                "pr|request|change|changes|it|this|branch|work|patch * is|was|were|are|been|gets|got * \
                 approved|merged|mergeable|accepted|rejected",
            ),
            (
                Review,
                "pr|request|change|changes|it|this|patch * has|have * been * approved|merged|accepted",
            ),
            (
                Review,
                "reviewer|reviewers|maintainer|maintainers|everyone|everybody|he|she|they|team * \
                 approved|approves",
            ),
            (Review, "reviewer|reviewers|maintainer|maintainers approve"),
            (Review, "^approved by"),
            (
                Review,
                "pr|request|change|changes|it|this|patch * has|have|had|received|got|lacks|needs|\
                 requires|awaits|awaiting * approval|approvals",
            ),
            (Review, "^no|one|two|three|several|multiple|1|2|3 approval|approvals"),
            (Review, "approval|approvals from * reviewer|reviewers|maintainer|maintainers"),
            (
                Review,
                "pr|request|change|changes|it|this|patch * awaiting|awaits|pending|needs|requires|\
                 waiting * review|reviews|reviewers",
            ),
            (Review, "^awaiting|awaits|pending|needs|waiting * review|reviews|reviewers|approval"),
            (Review, "changes were|are|was|have|been * requested"),
            (Review, "^changes requested"),
            (Review, "^* requested|requests|requesting changes"),
            (
                Checks,
                "all|every * checks|check|tests|test|pipelines|builds * \
                 pass|passes|passed|passing|green|succeed|succeeds|succeeded",
            ),
            (
                Checks,
                "^* checks|check|ci|tests|test|pipeline|pipelines|build|builds \
                 pass|passes|passed|fail|fails|failed|succeed|succeeds|succeeded \
                 $|on|in|with|and|but|except|again|locally|for|after",
            ),
            (
                Checks,
                "^* checks|check|ci|pipeline|pipelines|build|builds \
                 passing|green|failing|red|pending|running",
            ),
            (
                Checks,
                "^* tests|test|builds|pipelines is|are|was|were|remain * \
                 passing|green|failing|red|pending|running|broken",
            ),
            (
                Checks,
                "ci|checks|pipeline|build * is|are|was|were * \
                 green|red|passing|failing|broken|pending|running|successful",
            ),
            (
                Checks,
                "with|has|have|despite * green|passing|failing ci|checks|build|pipeline|tests",
            ),
            (Merge, "there|has|have|had|with|without|no|shows * merge conflict|conflicts"),
            (Merge, "conflicts with * base|main|master"),
            (Merge, "there|has|have|is|are|with no conflict|conflicts"),
        ],
    },
    Language {
        names: &["german", "deutsch", "de"],
        is_spaced: true,
        claims: &[
            (
                Review,
                "pr|pull|request|änderung|änderungen|branch * ist|sind|wurde|wurden|wird|war * \
                 freigegeben|genehmigt|gemergt|gemerged|zusammengeführt|akzeptiert|abgelehnt",
            ),
            (Review, "^er|es|sie ist|wurde|wird * genehmigt|gemergt|gemerged"),
            (Review, "wartet|warten * auf * review|reviews|prüfung|freigabe|genehmigung"),
            (
                Checks,
                "alle * tests|prüfungen|checks * bestanden|bestehen|erfolgreich|grün|durchgelaufen",
            ),
            (
                Checks,
                "^* tests|prüfungen|checks|ci|pipeline sind|ist|wurden|wurde|haben|hat|laufen * \
                 bestanden|grün|rot|fehlgeschlagen|erfolgreich",
            ),
            (Merge, "bereit zum|für * merge|mergen|zusammenführen"),
            (Merge, "hat|haben|gibt|bestehen|keine * merge konflikt|konflikte"),
        ],
    },
    Language {
        names: &["french", "français", "fr"],
        is_spaced: true,
        claims: &[
            (
                Review,
                "pr|demande|request|modification|changement * est|a|été|sont|ont * \
                 approuvée|approuvé|fusionnée|fusionné|acceptée|accepté",
            ),
            (Review, "^elle|il est|a * approuvée|approuvé|fusionnée|fusionné"),
            (
                Checks,
                "^* tests|vérifications|ci passent|passe|réussissent|réussi|échouent|échoue|échoué",
            ),
            (Merge, "prête|prêt à|pour * fusionnée|fusionné|fusionner|fusion"),
        ],
    },
    Language {
        names: &["spanish", "español", "castellano", "es"],
        is_spaced: true,
        claims: &[
            (
                Review,
                "pr|solicitud|request|cambio|cambios * está|fue|ha|sido|es * \
                 aprobada|aprobado|fusionada|fusionado|aceptada|aceptado",
            ),
            (Checks, "^* pruebas|tests|comprobaciones|ci pasan|pasa|pasaron|fallan|falla|fallaron"),
            (Merge, "lista|listo para * fusionar|fusionarse|fusión"),
        ],
    },
    Language {
        names: &["portuguese", "português", "pt"],
        is_spaced: true,
        claims: &[
            (
                Review,
                "pr|solicitação|request|alteração|mudança * foi|está|é|sido * \
                 aprovado|aprovada|mesclado|mesclada|aceito|aceita",
            ),
            (
                Checks,
                "^* testes|verificações|ci passam|passa|passaram|passou|falham|falha|falharam",
            ),
            (Merge, "pronto|pronta para * mesclar|merge|mesclagem"),
        ],
    },
    Language {
        names: &["italian", "italiano", "it"],
        is_spaced: true,
        claims: &[
            (
                Review,
                "pr|request|richiesta|modifica * è|stata|stato * \
                 approvata|approvato|unita|unito|accettata|accettato",
            ),
            (
                Checks,
                "^* test|controlli|verifiche|ci passano|passa|superati|superato|falliscono|fallisce",
            ),
            (Merge, "pronta|pronto per * merge|unione|unita"),
        ],
    },
    Language {
        names: &["chinese", "mandarin", "simplified chinese", "中文", "汉语", "zh"],
        is_spaced: false,
        claims: &[
            (Review, "请求|pr|变更|更改 已批准|已获批准|获得批准|已被批准|已合并|可以合并"),
            (Checks, "检查|测试|ci|构建 已通过|均通过|都通过|全部通过|未通过|已失败"),
            (Checks, "通过了所有 检查|测试"),
        ],
    },
    Language {
        names: &["japanese", "日本語", "ja"],
        is_spaced: false,
        claims: &[
            (
                Review,
                "リクエスト|pr|変更|ブランチ 承認され|承認済み|マージ済み|マージ可能|マージされま",
            ),
            (Checks, "すべて|全て|全ての テスト|チェック|ci 成功|通過|パス"),
        ],
    },
    Language {
        names: &["korean", "한국어", "ko"],
        is_spaced: false,
        claims: &[
            (Review, "pr|풀|요청|변경 승인되었|승인됐|승인받았|병합되었|병합됐|병합할|병합가능"),
            (Checks, "모든|전체 테스트|검사|체크 통과"),
        ],
    },
];

/// Characters that may stand between two steps where words do not stand apart.
const APART_CHARS: usize = 12;

/// Whether sentences in the language of this name are looked at.
pub(super) fn is_checked(language: &str) -> bool {
    let language = language.trim().to_lowercase();
    // A variant, as in `pt-BR`.
    let main = language.split(['-', '_', '(']).next().unwrap_or_default().trim();
    LANGUAGES
        .iter()
        .any(|known| known.names.contains(&language.as_str()) || known.names.contains(&main))
}

/// One step of a claim.
enum Step {
    /// Up to two words, whichever.
    Gap,
    /// One of these words, or the end.
    Word(Vec<&'static str>),
}

/// A claim, ready to be looked for.
struct Claim {
    about: About,
    steps: Vec<Step>,
}

/// All claims, by how they are found.
#[derive(Default)]
struct Claims {
    all: Vec<Claim>,
    /// Places in `all` by the words that a claim begins with: the steps behind the first follow.
    by_word: HashMap<&'static str, Vec<usize>>,
    /// Those that a sentence begins with.
    at_start: Vec<usize>,
    /// Those of languages without spaces.
    unspaced: Vec<usize>,
}

static CLAIMS: LazyLock<Claims> = LazyLock::new(|| {
    let step = |step: &'static str| match step {
        "*" => Step::Gap,
        words => Step::Word(words.split('|').collect()),
    };
    let mut claims = Claims::default();
    for language in LANGUAGES {
        for (about, words) in language.claims {
            let place = claims.all.len();
            let anchored = words.strip_prefix('^');
            let words = anchored.unwrap_or(words);
            let steps: Vec<Step> = words.split_whitespace().map(step).collect();
            match steps.first() {
                _ if !language.is_spaced => claims.unspaced.push(place),
                Some(Step::Word(starts)) if anchored.is_none() => {
                    for start in starts {
                        claims.by_word.entry(start).or_default().push(place);
                    }
                }
                _ => claims.at_start.push(place),
            }
            claims.all.push(Claim { about: *about, steps });
        }
    }
    claims
});

/// Does the sentence state a status?
pub(super) fn is_claim(sentence: &str) -> bool {
    first_claim(sentence).is_some()
}

/// The first line of the table that the sentence matches, and what that is about.
pub(super) fn first_claim(sentence: &str) -> Option<(usize, About)> {
    let lower = sentence.to_lowercase();
    // A negated verb is a statement all the same.
    let words: Vec<&str> = lower
        .split(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '_' || c == '`'))
        .filter(|word| {
            !word.is_empty()
                && !matches!(
                    *word,
                    "not" | "now" | "fully" | "also" | "already" | "still" | "currently"
                )
        })
        .collect();
    let claims = &*CLAIMS;
    let found = |place: &usize, words: &[&str], skip: usize| {
        let claim = claims.all.get(*place)?;
        let steps = claim.steps.get(skip..)?;
        begins(words, steps).then_some((*place, claim.about))
    };
    if let Some(claim) = claims.at_start.iter().find_map(|place| found(place, &words, 0)) {
        return Some(claim);
    }
    let mut rest = words.as_slice();
    while let [word, after @ ..] = rest {
        let begun = claims.by_word.get(word).map(Vec::as_slice).unwrap_or_default();
        if let Some(claim) = begun.iter().find_map(|place| found(place, after, 1)) {
            return Some(claim);
        }
        rest = after;
    }
    if lower.is_ascii() {
        return None;
    }
    claims.unspaced.iter().find_map(|place| {
        let claim = claims.all.get(*place)?;
        follows(&lower, &claim.steps).then_some((*place, claim.about))
    })
}

/// Do the words begin with these steps?
fn begins(words: &[&str], steps: &[Step]) -> bool {
    match steps {
        [] => true,
        [Step::Gap, rest @ ..] => {
            (0..=2).any(|skip| words.get(skip..).is_some_and(|words| begins(words, rest)))
        }
        [Step::Word(choices), rest @ ..] => match words.split_first() {
            Some((word, words)) => choices.contains(word) && begins(words, rest),
            None => choices.contains(&"$") && rest.is_empty(),
        },
    }
}

/// Do the steps stand in the text one after the other, not far apart?
fn follows(text: &str, steps: &[Step]) -> bool {
    let Some((Step::Word(choices), rest)) = steps.split_first() else { return true };
    choices.iter().any(|choice| {
        text.match_indices(choice).any(|(at, _)| {
            let after = text.get(at + choice.len()..).unwrap_or_default();
            rest.is_empty() || near(after).is_some_and(|near| follows(near, rest))
        })
    })
}

/// The characters in which the next step must be found, the step's own included.
fn near(text: &str) -> Option<&str> {
    let end = text.char_indices().nth(APART_CHARS).map_or(text.len(), |(at, _)| at);
    text.get(..end)
}
