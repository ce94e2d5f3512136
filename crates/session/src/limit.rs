//! How long what people signed may wait for a lock, and run: what must be on the borrowed connection for that, and behind it.
//! It sends nothing itself.

use gate::Own;
use gate::ticket::TimeOuts;

use crate::lent::Limited;
use crate::talk::Talk;

/// What must go up so that time-outs stand on a connection, or those of the session again.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// In front of a BEGIN that is sent.
    pub(crate) back: Option<Own>,
    /// Behind it.
    pub(crate) on: Option<Own>,
}

/// What must go up for these time-outs; none are those of the session. `begins` says that a BEGIN is sent. In a segment that
/// is open, and in a transaction that has failed, nothing can be put on it; nor can what stood before a transaction be taken
/// back within it.
pub(crate) fn limit(time_outs: TimeOuts, begins: bool, talk: &mut Talk) -> Limits {
    let mut limits = Limits::default();
    let open = talk.transaction.has_upstream();
    let failed = open && talk.transaction.has_failed();
    let (None, false, Some(lent)) = (talk.segment, failed, &mut talk.lent) else {
        return limits;
    };
    // A transaction that has ended has taken back what was its own.
    let before = lent.limited.filter(|it| open || !it.local);
    let wanted = (!time_outs.is_none()).then_some(Limited {
        time_outs,
        local: open || begins,
    });
    let stays = before == wanted || before.is_some_and(|it| open && !it.local);
    if stays {
        lent.limited = before;
        return limits;
    }
    lent.limited = wanted;
    limits.back = before.map(|it| Own::Unlimit { local: it.local });
    limits.on = wanted.map(|it| Own::Limit {
        time_outs,
        local: it.local,
    });
    limits
}
