"""What operators watch, with Prometheus names; ARCHITECTURE.md tells what to alert on."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, Info

BUILD = Info("segmentation_build", "The version of this worker, and Python's")
COMMANDS = Counter(
    "segmentation_commands_total",
    "Commands decided, by type and outcome: applied, unchanged, duplicate, scheduled, or the code of the rejection",
    ["type", "outcome"],
)
BATCH_COMMANDS = Histogram(
    "segmentation_batch_commands",
    "Records in one applied batch",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000),
)
BATCH_SECONDS = Histogram(
    "segmentation_batch_seconds",
    "Time to apply one batch, with its retries",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60),
)
COMMAND_TO_EVENT_SECONDS = Histogram(
    "segmentation_command_to_event_seconds",
    "From a command's time to its event's commit in Kafka, of commands that the relay's own worker has applied",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1_800),
)
LAG_RECORDS = Gauge("segmentation_lag_records", "Command records that were not applied yet", ["topic", "partition"])
LAG_SECONDS = Gauge(
    "segmentation_lag_seconds",
    "Age of the newest record applied, while others wait behind it; 0 when none does. Of those that only an open "
    "transaction holds back, for how long it has",
    ["topic", "partition"],
)
OPEN_TRANSACTION_SECONDS = Gauge(
    "segmentation_open_transaction_seconds",
    "For how long a producer's open transaction has held back what stands behind it; 0 where there is none",
    ["topic", "partition"],
)
HALTED = Gauge(
    "segmentation_partition_halted", "1 where a partition waits for a person; the log says why", ["topic", "partition"]
)
UNPUBLISHED_ROWS = Gauge("segmentation_journal_unpublished_rows", "Journal rows that the relay has not published yet")
UNPUBLISHED_SECONDS = Gauge(
    "segmentation_journal_unpublished_seconds", "Age of the oldest journal row that is not published yet"
)
RELAY_STALLED_SECONDS = Gauge(
    "segmentation_relay_stalled_seconds",
    "For how long journal rows have waited without one being published, by whichever worker is the relay",
)
RELAY_TRANSACTIONS = Counter(
    "segmentation_relay_transactions_total", "Kafka transactions of the relay, by outcome", ["outcome"]
)
RELAY_EVENTS = Counter("segmentation_relay_events_total", "Events published by this process's relay")
STATE_RECORDS = Counter(
    "segmentation_state_records_total", "Users' states written by this process's relay to the topic `memberships`"
)
RELAY_UNDECIDED = Counter(
    "segmentation_relay_undecided_total",
    "Partitions on which Kafka had left a transaction of the relay without an end, which the relay has ended",
)
RELAY_SHORTENED = Counter(
    "segmentation_relay_events_shortened_total",
    "Events published with less in them, as their topics take no larger ones",
)
SNAPSHOT_USERS = Gauge(
    "segmentation_snapshot_users", "Users whose states the snapshot under way has written; 0 while none is under way"
)
RELAY_LEADS = Gauge("segmentation_relay_leads", "1 while this process is the relay")
REPLIES = Counter("segmentation_replies_total", "Answers to queries, by outcome: sent or lost", ["outcome"])
CLOCK_DIFFERENCE_SECONDS = Gauge(
    "segmentation_clock_difference_seconds", "How far PostgreSQL's clock is ahead of this worker's; negative: behind it"
)
FENCED = Counter("segmentation_fenced_total", "Batches dropped because another worker owns their partitions")
RETRIES = Counter("segmentation_retries_total", "Tries repeated because a service was not available", ["part"])
REFUSING = Gauge(
    "segmentation_apply_refusing",
    "Lanes whose batch the database does not take because of its own state, as it refuses harmless commands too",
)
REBALANCES = Counter("segmentation_rebalances_total", "Assignments of partitions that this worker was given")
ROLLOUT_MEMBERSHIPS = Counter(
    "segmentation_rollout_memberships_total", "Memberships begun or ended by a rollout", ["change"]
)
IMPORTED_MEMBERSHIPS = Counter(
    "segmentation_imported_memberships_total", "Memberships begun, ended or renewed by lists of users"
)
EXPIRED_MEMBERSHIPS = Counter(
    "segmentation_expired_memberships_total",
    "Memberships whose time was over: ended, or gone on as rollout memberships",
)
EXPIRY_HELD = Counter("segmentation_expiry_held_total", "Expiries that the database refused and that are held back")
JOB_FAILURES = Counter("segmentation_job_failures_total", "Runs of background jobs that failed", ["job"])
REPORTS = Counter(
    "segmentation_reports_total", "Attempts at a month's report, by outcome: published or failed", ["outcome"]
)
REPORTS_LEAD = Gauge("segmentation_reports_lead", "1 while this process makes the reports")
REPORTS_OVERDUE = Gauge("segmentation_reports_overdue", "Finished months that are due and have no published report")
SCHEDULED_COMMANDS = Gauge(
    "segmentation_scheduled_commands", "Commands that wait to take effect, as the jobs' leader sees it"
)
SCHEDULE_OVERDUE_SECONDS = Gauge(
    "segmentation_schedule_overdue_seconds",
    "For how long the oldest command that is due has waited to be decided, as the jobs' leader sees it; 0: none waits",
)
TALLY_ROWS_BEHIND = Gauge(
    "segmentation_tally_rows_behind",
    "Journal rows that are not in the segments' counts yet, as the jobs' leader sees it",
)
JOBS_LEAD = Gauge("segmentation_jobs_lead", "1 while this process runs the background jobs")
DELETED_MEMBERSHIPS = Counter(
    "segmentation_deleted_memberships_total", "Memberships ended because their segment was deleted"
)
