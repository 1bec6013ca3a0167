//! Why parts are not those of one whole.

/// Why parts cannot be put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// A part whose bytes are not what was written.
    #[error("part {0} is damaged: {1}")]
    Damaged(usize, String),
    /// A part of another version of the program.
    #[error("part {task} was made by simic {found}, the job by simic {expected}")]
    OtherVersion {
        /// Task of the part.
        task: usize,
        /// Version of the part.
        found: String,
        /// Version of the job.
        expected: String,
    },
    /// A part made under other settings.
    #[error("part {0} was made under other settings than those of the job")]
    OtherSettings(usize),
    /// A part of other input.
    #[error("part {task} is of other input: {what}")]
    OtherInput {
        /// Task of the part.
        task: usize,
        /// What differs.
        what: String,
    },
    /// A part of another division into tasks.
    #[error("part {0} is of another plan of the same job")]
    OtherPlan(usize),
    /// A part under the name of another.
    #[error("part {name} holds task {task}: tasks overlap")]
    Overlap {
        /// Name of the file.
        name: String,
        /// Task that it holds.
        task: usize,
    },
    /// A file among the parts that is none of the plan's.
    #[error("part {0} is of no task of the plan")]
    Stray(String),
    /// Tasks without a part.
    #[error("{} of {of} parts are missing: {}", missing.len(), listed(missing))]
    Missing {
        /// The tasks.
        missing: Vec<usize>,
        /// Tasks of the plan.
        of: usize,
    },
    /// Parts that a task goes on from and that are not there yet.
    #[error("task {task} goes on from parts that are not there yet: {}", listed(missing))]
    Awaited {
        /// The task.
        task: usize,
        /// Tasks whose parts are missing.
        missing: Vec<usize>,
    },
    /// Parts that looked at other value columns.
    #[error("parts looked at other value columns: {0}, and {1}")]
    OtherColumns(String, String),
    /// A game that two parts have.
    #[error("two parts hold {0}: tasks overlap")]
    DoubledGame(String),
    /// A run that two parts have.
    #[error("two parts hold run {0}: tasks overlap")]
    DoubledRun(String),
    /// A run that no task was to look at.
    #[error("a part holds run {0}, which the plan does not have")]
    UnknownRun(String),
    /// Observations of several widths.
    #[error("observations have {0} values in one part and {1} in another")]
    OtherWidth(usize, usize),
    /// More or fewer of something than there should be.
    #[error("a part has {2} {0}, the job {1}")]
    OtherNumber(&'static str, usize, usize),
    /// Tasks computed on several devices.
    #[error("parts were computed on {0} and on {1}")]
    OtherDevice(String, String),
    /// Values read from other columns.
    #[error("parts read their values from other columns: {0}, and {1}")]
    OtherValues(String, String),
}

impl MergeError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "simic shard run computes them, simic shard exec one of them; --allow-missing says what the others say"
            }
            Self::Awaited { .. } => {
                "compute the stages of a job one after the other, as simic shard run does; try again later"
            }
            Self::Damaged(..) | Self::OtherPlan(_) => "simic shard exec makes it anew",
            Self::OtherVersion { .. } => "plan and compute the job with one version",
            Self::Overlap { .. } | Self::Stray(_) => {
                "remove it; simic shard status says what is missing then"
            }
            Self::OtherSettings(_)
            | Self::OtherInput { .. }
            | Self::OtherColumns(..)
            | Self::DoubledGame(_)
            | Self::DoubledRun(_)
            | Self::UnknownRun(_)
            | Self::OtherWidth(..)
            | Self::OtherNumber(..)
            | Self::OtherDevice(..)
            | Self::OtherValues(..) => "plan the job anew in another folder",
        }
    }
}

/// Numbers of tasks, stretches of them as such: `0, 3-7`; at most ten.
pub fn listed(tasks: &[usize]) -> String {
    const MOST: usize = 10;
    let mut stretches: Vec<(usize, usize)> = Vec::new();
    for task in tasks {
        match stretches.last_mut() {
            Some((_, last)) if *last + 1 == *task => *last = *task,
            _ => stretches.push((*task, *task)),
        }
    }
    let text = |(first, last): &(usize, usize)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}-{last}"),
    };
    let mut texts: Vec<String> = stretches.iter().take(MOST).map(text).collect();
    if stretches.len() > MOST {
        texts.push("...".to_owned());
    }
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_of_tasks_are_named_by_their_ends() {
        assert_eq!(listed(&[0, 3, 4, 5, 6, 8, 9]), "0, 3-6, 8, 9");
        let odd: Vec<usize> = (0..40).map(|i| 2 * i).collect();
        assert!(listed(&odd).ends_with("18, ..."));
        assert_eq!(listed(&[]), "");
    }
}
