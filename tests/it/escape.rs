//! Hazards R114: by the grants of `portcullis tenant new` alone, no tenant gets at what is another's, in any of the models; and the
//! same attempts find a tenant that was granted too much.

use harness::escape::{CONTROL_MIN, Model, TRIED_MIN, run, serves, ways};

#[test]
fn no_tenant_gets_out_and_the_control_does() {
    for tally in run(&Model::ALL, "") {
        println!("{}", tally.line());
        if tally.model == Model::Control {
            assert!(tally.escaped() >= CONTROL_MIN, "{}", tally.line());
        } else {
            assert!(tally.tried >= TRIED_MIN, "{}", tally.line());
            assert!(
                tally.escapes.is_empty(),
                "{}: {:#?}",
                tally.line(),
                tally.escapes
            );
        }
    }
}

/// Hazards R116: what `portcullis tenant new` makes passes the self-test of what it says.
#[test]
fn what_is_made_is_kept_apart_as_it_is_said_to_be() {
    let models = Model::ALL.iter().filter(|it| **it != Model::Control);
    models.for_each(|it| serves(*it));
}

/// The experiments and rules that the corpus answers.
#[test]
fn the_corpus_has_what_was_measured() {
    for measured in [
        "V2", "V3", "V11", "V12", "V13", "V14", "V15", "V16", "V17", "V27", "V29",
    ] {
        let found = ways().iter().any(|it| it.hazard == measured);
        assert!(found, "nothing tries {measured}");
    }
}
