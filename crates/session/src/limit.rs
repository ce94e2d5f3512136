//! How long what people signed may wait for a lock, and run: what must be on the borrowed connection for that, and behind it.
//! It sends nothing itself.

use gate::Own;
use gate::ticket::TimeOuts;

use crate::talk::Talk;

/// What must go up so that these time-outs stand on the connection, or those of the session again where there are none: first
/// what takes back others, then what puts these on it. In a segment that is open, and in a transaction that has failed,
/// nothing can.
pub(crate) fn limit(time_outs: TimeOuts, talk: &mut Talk) -> [Option<Own>; 2] {
    let failed = talk.transaction.has_upstream() && talk.transaction.has_failed();
    let local = talk.transaction.is_open();
    let (None, false, Some(lent)) = (talk.segment, failed, &mut talk.lent) else {
        return [None, None];
    };
    if time_outs == lent.time_outs {
        return [None, None];
    }
    let before = std::mem::replace(&mut lent.time_outs, time_outs);
    let back = (!before.is_none()).then_some(Own::Unlimit { local });
    let on = (!time_outs.is_none()).then_some(Own::Limit { time_outs, local });
    [back, on]
}
