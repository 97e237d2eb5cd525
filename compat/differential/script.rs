//! Steps: the same request to both brokers, and their answers compared.

use std::any::Any;
use std::thread;
use std::time::{Duration, Instant};

use ottla::wire::messages::describe_groups::DescribeGroupsRequest;
use ottla::wire::messages::fetch::FetchResponse;
use ottla::wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};

use crate::batches;
use crate::compare::{Difference, compare};
use crate::doctor::Doctoring;
use crate::report::Report;
use crate::requests::{Outcome, Request, unframed};
use crate::side::{ANSWER_TIMEOUT, Address, Side};
use crate::topics::creation;
use crate::tree::Node;

/// How long no answer has to come for a request to count as unanswered.
const SILENCE: Duration = Duration::from_millis(300);
/// How long the reference may take until an answer is what it will be: it answers changes before they count.
const SETTLING: Duration = Duration::from_secs(2);
/// So often it is waited in vain; then there is more wrong than that.
const UNSETTLED_MAX: usize = 10;
/// How long both may take until something is so: the reference looks for topics of a pattern every 10 s.
pub(crate) const SETTLE_TIMEOUT: Duration = Duration::from_secs(15);
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// What each of the two answered, if both could be read: ours, then theirs.
pub(crate) type Both<T> = [Option<T>; 2];

/// Both brokers, and what came of the steps so far.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) sides: [Side; 2],
    pub(crate) report: Report,
    /// The time of records: an hour before the run, so that it is no time of an answer.
    pub(crate) time_ms: i64,
    doctoring: Option<Doctoring>,
    /// The answer at hand was changed.
    doctored: bool,
    /// Questions whose answers stayed different.
    unsettled: usize,
    /// What did not come in time.
    missed: usize,
    at: String,
    patience: Duration,
}

/// The name of an API, without "Request".
pub(crate) fn api<R: Request>() -> &'static str {
    R::NAME.trim_end_matches("Request")
}

impl Script {
    pub(crate) fn new(
        [ours, theirs]: [&Address; 2],
        began_ms: i64,
        report: Report,
        doctoring: Option<Doctoring>,
    ) -> Self {
        Self {
            sides: [Side::new(ours, began_ms), Side::new(theirs, began_ms)],
            report,
            time_ms: began_ms - 3_600_000,
            doctoring,
            doctored: false,
            unsettled: 0,
            missed: 0,
            at: String::new(),
            patience: ANSWER_TIMEOUT,
        }
    }

    /// The next step is on a connection of its own name.
    pub(crate) fn at(&mut self, connection: &str) -> &mut Self {
        connection.clone_into(&mut self.at);
        self
    }

    /// In the next step silence is an answer.
    pub(crate) fn briefly(&mut self) -> &mut Self {
        self.patience = SILENCE;
        self
    }

    /// One step at every version.
    pub(crate) fn each<R: Request>(&mut self, step: &str, make: impl Fn(&Side, i16) -> R) {
        self.over(step, R::VERSIONS, make);
    }

    /// One step at some versions.
    pub(crate) fn over<R: Request>(
        &mut self,
        step: &str,
        versions: impl IntoIterator<Item = i16>,
        make: impl Fn(&Side, i16) -> R,
    ) {
        for version in versions {
            self.ask(step, version, |side| make(side, version));
        }
    }

    /// One step at one version.
    pub(crate) fn ask<R: Request>(
        &mut self,
        step: &str,
        version: i16,
        make: impl Fn(&Side) -> R,
    ) -> Both<R::Response> {
        let at = std::mem::take(&mut self.at);
        let patience = std::mem::replace(&mut self.patience, ANSWER_TIMEOUT);
        let deadline = Instant::now() + SETTLING;
        let mut outcomes = [0, 1].map(|of| self.call(of, &at, version, &make, patience));
        loop {
            let answers = outcomes.clone().map(|outcome| Read::new::<R>(outcome, version));
            let (differences, answers) = self.judge::<R>(step, answers);
            let may_settle = is_reading::<R>() && self.unsettled < UNSETTLED_MAX;
            if differences.is_empty() || !may_settle || Instant::now() > deadline {
                self.unsettled += usize::from(!differences.is_empty() && may_settle);
                self.count::<R>(step, version, &differences);
                return answers;
            }
            thread::sleep(POLL);
            outcomes[1] = self.call(1, &at, version, &make, patience);
        }
    }

    fn call<R: Request>(
        &mut self,
        of: usize,
        at: &str,
        version: i16,
        make: &impl Fn(&Side) -> R,
        patience: Duration,
    ) -> Outcome {
        let side = &mut self.sides[of];
        let request = make(side);
        side.send(at, &request, version);
        let outcome = side.next(at, patience);
        if outcome == Outcome::Silent {
            side.leave(at);
        }
        outcome
    }

    /// A step of bytes, on a connection of its own.
    pub(crate) fn ask_bytes<R: Request>(&mut self, step: &str, version: i16, bytes: &[u8]) {
        let patience = std::mem::replace(&mut self.patience, ANSWER_TIMEOUT);
        let read_as = if R::VERSIONS.contains(&version) { version } else { 0 };
        let answers = [0, 1].map(|of| {
            let side = &mut self.sides[of];
            side.leave("bytes");
            side.send_bytes("bytes", bytes);
            Read::new::<R>(side.next("bytes", patience), read_as)
        });
        let (differences, _) = self.judge::<R>(step, answers);
        self.count::<R>(step, version, &differences);
    }

    /// Sends a request whose answer comes in a later step.
    pub(crate) fn send<R: Request>(&mut self, at: &str, version: i16, make: impl Fn(&Side) -> R) {
        for side in &mut self.sides {
            let request = make(side);
            side.send(at, &request, version);
        }
    }

    /// The answer to a request that was sent.
    pub(crate) fn receive<R: Request>(
        &mut self,
        at: &str,
        step: &str,
        version: i16,
    ) -> Both<R::Response> {
        let answers =
            [0, 1].map(|of| Read::new::<R>(self.sides[of].next(at, ANSWER_TIMEOUT), version));
        let (differences, answers) = self.judge::<R>(step, answers);
        self.count::<R>(step, version, &differences);
        answers
    }

    /// Nothing comes on a connection for a while.
    pub(crate) fn waits<R: Request>(&mut self, at: &str, step: &str, version: i16) {
        let answers = [0, 1].map(|of| Read::new::<R>(self.sides[of].next(at, SILENCE), version));
        let (differences, _) = self.judge::<R>(step, answers);
        self.count::<R>(step, version, &differences);
    }

    fn count<R: Request>(&mut self, step: &str, version: i16, differences: &[Difference]) {
        self.report.add(api::<R>(), step, version, differences);
        for side in &mut self.sides {
            side.names.step();
        }
        if std::mem::take(&mut self.doctored) {
            self.doctoring = None;
        }
    }

    /// Whether an answer was still to be changed.
    pub(crate) fn awaits_doctoring(&self) -> bool {
        self.doctoring.is_some()
    }

    /// The differences that are left, and what the answers said.
    fn judge<R: Request>(
        &mut self,
        step: &str,
        answers: [Read<R::Response>; 2],
    ) -> (Vec<Difference>, Both<R::Response>) {
        let [mut ours, mut theirs] = answers;
        if self.report.judges(api::<R>()) {
            // Until the step is counted: an answer may be compared more than once.
            self.doctored = self.doctoring.is_some_and(|kind| kind.apply(&mut ours.tree));
        }
        for (side, answer) in self.sides.iter_mut().zip([&mut ours, &mut theirs]) {
            side.learn_topics(&answer.tree);
            side.names.normalise(api::<R>(), &mut answer.tree);
        }
        let mut differences = compare(&ours.tree, &theirs.tree);
        if ours.is_unreadable || theirs.is_unreadable {
            let (path, [ours, theirs]) =
                (String::new(), [&ours, &theirs].map(|read| read.tree.text()));
            differences = vec![Difference { path, ours, theirs }];
        }
        let differences = self.report.unexplained(api::<R>(), step, differences);
        (differences, [ours.response, theirs.response])
    }

    /// Asks without comparing until it is so, of each broker.
    pub(crate) fn until<R: Request>(
        &mut self,
        what: &str,
        version: i16,
        make: impl Fn(&Side) -> R,
        is_so: impl Fn(&R::Response) -> bool,
    ) {
        for of in [0, 1] {
            let is_patient = self.missed < UNSETTLED_MAX;
            let patience = if is_patient { ANSWER_TIMEOUT } else { Duration::ZERO };
            let deadline = Instant::now() + patience;
            loop {
                let outcome = self.call(of, "", version, &make, ANSWER_TIMEOUT);
                let answer = Read::new::<R>(outcome, version);
                self.sides[of].learn_topics(&answer.tree);
                if answer.response.as_ref().is_some_and(&is_so) {
                    break;
                }
                if Instant::now() > deadline {
                    self.missed += 1;
                    self.report
                        .fail(api::<R>(), &format!("{what} did not come: {}", answer.tree.text()));
                    break;
                }
                thread::sleep(POLL);
            }
        }
    }

    /// Asks one of them, without comparing.
    pub(crate) fn ask_one<R: Request>(
        &mut self,
        of: usize,
        version: i16,
        make: &impl Fn(&Side) -> R,
    ) -> Option<R::Response> {
        let outcome = self.call(of, "", version, make, ANSWER_TIMEOUT);
        Read::new::<R>(outcome, version).response
    }

    /// One step at one version, asked of each broker until it is so; the last answers are compared.
    pub(crate) fn settle<R: Request>(
        &mut self,
        step: &str,
        version: i16,
        make: impl Fn(&Side) -> R,
        is_so: impl Fn(&R::Response) -> bool,
    ) -> Both<R::Response> {
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        let mut ask =
            |of| Read::new::<R>(self.call(of, "", version, &make, ANSWER_TIMEOUT), version);
        let mut answers = [0, 1].map(&mut ask);
        loop {
            let unsettled = |answer: &Read<_>| !answer.response.as_ref().is_some_and(&is_so);
            if !answers.iter().any(unsettled) || Instant::now() > deadline {
                break;
            }
            thread::sleep(POLL);
            for (of, answer) in answers.iter_mut().enumerate() {
                if unsettled(answer) {
                    *answer = ask(of);
                }
            }
        }
        let late = answers.iter().position(|answer| !answer.response.as_ref().is_some_and(&is_so));
        if let Some(of) = late {
            let answer = answers[of].tree.text();
            self.report.fail(api::<R>(), &format!("{step} did not come: {answer}"));
        }
        let (differences, answers) = self.judge::<R>(step, answers);
        self.count::<R>(step, version, &differences);
        answers
    }

    /// Keeps something that each broker said.
    pub(crate) fn learn<T>(&mut self, what: &str, answers: &Both<T>, of: impl Fn(&T) -> String) {
        for (side, answer) in self.sides.iter_mut().zip(answers) {
            if let Some(answer) = answer {
                side.learn(what, &of(answer));
            }
        }
    }

    /// Creates a topic that serves.
    pub(crate) fn topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        self.ask("a topic to use", 7, |_| creation(name, partitions, configs));
        self.until_served(name, partitions);
    }

    pub(crate) fn until_served(&mut self, name: &str, partitions: i32) {
        let partition = |partition_index| ListOffsetsPartition {
            partition_index,
            timestamp: -1,
            ..Default::default()
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ListOffsetsTopic {
                name: name.into(),
                partitions: (0..partitions).map(partition).collect(),
            }],
            ..Default::default()
        };
        self.until(
            &format!("topic {name}"),
            7,
            |_| request.clone(),
            |response| {
                response
                    .topics
                    .iter()
                    .flat_map(|topic| &topic.partitions)
                    .all(|one| one.error_code == 0)
            },
        );
    }

    /// Leaves a connection on both sides.
    pub(crate) fn leave(&mut self, at: &str) {
        for side in &mut self.sides {
            side.leave(at);
        }
    }

    /// Waits for what was sent on another connection to have its effect.
    pub(crate) fn until_state(&mut self, group: &str, state: &str) {
        let request =
            DescribeGroupsRequest { groups: vec![group.to_owned()], ..Default::default() };
        self.until(
            &format!("{group} {state}"),
            0,
            |_| request.clone(),
            |response| response.groups[0].group_state == state,
        );
    }
}

/// An answer as it was read.
struct Read<T> {
    tree: Node,
    response: Option<T>,
    is_unreadable: bool,
}

impl<T> Read<T> {
    fn new<R: Request<Response = T>>(outcome: Outcome, version: i16) -> Self
    where
        T: std::fmt::Debug + 'static,
    {
        let other = |text: &str| (Node::atom(text), None, false);
        let (tree, response, is_unreadable) = match outcome {
            Outcome::Closed => other("closed"),
            Outcome::Silent => other("silence"),
            Outcome::Answer(frame) => match unframed::<R>(&frame, version) {
                Err(reason) => (Node::atom(reason), None, true),
                Ok((_, response)) => {
                    let mut tree = Node::of(&response);
                    if let Some(fetched) = (&response as &dyn Any).downcast_ref::<FetchResponse>() {
                        batches::open(&mut tree, fetched);
                    }
                    (tree, Some(response), false)
                }
            },
        };
        Self { tree, response, is_unreadable }
    }
}

/// Whether a request changes nothing, so that it may be asked again.
fn is_reading<R: Request>() -> bool {
    const READING: [&str; 10] = [
        "ConsumerGroupDescribe",
        "DescribeCluster",
        "DescribeConfigs",
        "DescribeGroups",
        "DescribeLogDirs",
        "DescribeTopicPartitions",
        "ListConfigResources",
        "ListGroups",
        "ListOffsets",
        "Metadata",
    ];
    READING.contains(&api::<R>())
}
