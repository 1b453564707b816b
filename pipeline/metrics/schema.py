"""The tables of `logs/metrics.sqlite`, as migrations: each is played once, in order, `PRAGMA user_version` counts them.

A migration that has been released is never edited; a change is a new one at the end.
"""

_KPIS = """
    held_out_success REAL, functionality REAL, quality REAL, instruction_following REAL, safety REAL, performance REAL,
    live_success_rate REAL, satisfaction_rate REAL, error_rate REAL, latency_ms REAL, first_token_ms REAL,
    tokens_per_second REAL, confidence REAL, rewrite_success_rate REAL, retention REAL, improvement REAL,
    training_loss REAL, efficiency REAL
"""

MIGRATIONS = (
    f"""
    -- One row a request; those older than the retention live on in daily_summaries.
    CREATE TABLE query_metrics (
        id INTEGER PRIMARY KEY,
        interaction_id TEXT NOT NULL,
        at REAL NOT NULL,
        agent TEXT NOT NULL,
        adapter TEXT,
        query_type TEXT NOT NULL CHECK (query_type IN ('trained', 'tools', 'history', 'both')),
        latency_ms REAL,
        first_token_ms REAL,
        tokens INTEGER,
        confidence REAL,
        success INTEGER,
        error TEXT,
        history INTEGER NOT NULL DEFAULT 0,
        tools INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX query_metrics_at ON query_metrics (at);

    CREATE TABLE feedback_metrics (
        id INTEGER PRIMARY KEY,
        interaction_id TEXT NOT NULL,
        at REAL NOT NULL,
        agent TEXT NOT NULL,
        thumb INTEGER CHECK (thumb IN (-1, 1)),
        comment INTEGER NOT NULL DEFAULT 0,
        edited INTEGER NOT NULL DEFAULT 0,
        success INTEGER
    ) STRICT;
    CREATE INDEX feedback_metrics_at ON feedback_metrics (at);

    -- Added to in the transaction that writes the rows they sum up. `day` is UTC, YYYY-MM-DD.
    CREATE TABLE daily_summaries (
        day TEXT NOT NULL,
        agent TEXT NOT NULL,
        query_type TEXT NOT NULL,
        queries INTEGER NOT NULL DEFAULT 0,
        errors INTEGER NOT NULL DEFAULT 0,
        latency_ms_sum REAL NOT NULL DEFAULT 0,
        latency_ms_count INTEGER NOT NULL DEFAULT 0,
        first_token_ms_sum REAL NOT NULL DEFAULT 0,
        first_token_ms_count INTEGER NOT NULL DEFAULT 0,
        tokens INTEGER NOT NULL DEFAULT 0,
        confidence_sum REAL NOT NULL DEFAULT 0,
        confidence_count INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (day, agent, query_type)
    ) STRICT, WITHOUT ROWID;

    -- How many requests took between 1.1 ^ bucket and 1.1 ^ (bucket + 1) milliseconds: quantiles within 5 %.
    CREATE TABLE daily_latencies (
        day TEXT NOT NULL,
        agent TEXT NOT NULL,
        query_type TEXT NOT NULL,
        bucket INTEGER NOT NULL,
        queries INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (day, agent, query_type, bucket)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE daily_feedback (
        day TEXT NOT NULL,
        agent TEXT NOT NULL,
        thumbs_up INTEGER NOT NULL DEFAULT 0,
        thumbs_down INTEGER NOT NULL DEFAULT 0,
        comments INTEGER NOT NULL DEFAULT 0,
        edits INTEGER NOT NULL DEFAULT 0,
        successes INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (day, agent)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE evolution_metrics (
        id INTEGER PRIMARY KEY,
        agent TEXT NOT NULL,
        run TEXT NOT NULL,
        evolution_type TEXT NOT NULL,
        status TEXT NOT NULL,
        started_at REAL NOT NULL,
        seconds REAL NOT NULL,
        generation TEXT,
        performance_before REAL,
        performance_after REAL,
        improvement REAL,
        efficiency REAL,
        samples INTEGER,
        loss REAL,
        cpu_percent REAL,
        memory_used_mb REAL,
        gpu_memory_used_mb REAL,
        network_mb REAL,
        error TEXT,
        UNIQUE (agent, run)
    ) STRICT;
    CREATE INDEX evolution_metrics_started_at ON evolution_metrics (started_at);

    CREATE TABLE kpi_snapshots (
        id INTEGER PRIMARY KEY,
        agent TEXT NOT NULL,
        at REAL NOT NULL,
        run TEXT,
        {_KPIS.strip()}
    ) STRICT;
    CREATE INDEX kpi_snapshots_agent_at ON kpi_snapshots (agent, at);

    CREATE TABLE evolution_strategies (
        agent TEXT NOT NULL,
        pattern TEXT NOT NULL,
        strategy TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        successes INTEGER NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (agent, pattern, strategy)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE system_events (
        id INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        severity TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'error')),
        run TEXT,
        exit_code INTEGER,
        seconds REAL,
        message TEXT,
        details TEXT
    ) STRICT;
    CREATE INDEX system_events_at ON system_events (at);

    CREATE TABLE resource_samples (
        id INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        run TEXT NOT NULL,
        stage TEXT NOT NULL,
        cpu_percent REAL,
        memory_used_mb REAL,
        gpu_memory_used_mb REAL,
        network_sent_mb REAL,
        network_received_mb REAL
    ) STRICT;
    CREATE INDEX resource_samples_at ON resource_samples (at);
    """,
)
