-- Calls into the log, and what is new among them into the day's sums: one statement, so both or neither. A batch that is sent again
-- (its first answer was cut off) finds its ids there, and adds nothing.
WITH given AS (
    SELECT * FROM jsonb_to_recordset($1::text::jsonb) AS g(
        id uuid, at float8, calls int, key text, purpose text, endpoint text, model_asked text, model_served text, model text, provider text,
        stream bool, status int, outcome text, input_tokens bigint, output_tokens bigint, cached_tokens bigint, cost numeric,
        saved_cost numeric, estimated bool, seconds float8, first_token_seconds float8, attempts jsonb, error text, request_body text, answer_body text)
), new AS (
    INSERT INTO breakers_aicall (id, at, calls, key, purpose, endpoint, model_asked, model_served, provider, stream, status, outcome,
        input_tokens, output_tokens, cached_tokens, cost, saved_cost, estimated, seconds, first_token_seconds, attempts, error, request_body,
        answer_body)
    SELECT id, to_timestamp(at), calls, key, purpose, endpoint, model_asked, model_served, provider, stream, status, outcome,
        input_tokens, output_tokens, cached_tokens, cost, saved_cost, estimated, seconds, first_token_seconds, attempts, error, request_body,
        answer_body
    FROM given
    ON CONFLICT (id) DO NOTHING
    RETURNING *
), models AS (
    SELECT DISTINCT ON (id) id, model FROM given
), sums AS (
    SELECT (at AT TIME ZONE 'UTC')::date AS day, key, purpose, model, provider,
        sum(calls) AS requests,
        coalesce(sum(calls) FILTER (WHERE outcome IN ('failed', 'refused')), 0) AS failed,
        coalesce(sum(calls) FILTER (WHERE outcome IN ('fallback', 'canned')), 0) AS rescued,
        coalesce(sum(calls) FILTER (WHERE outcome = 'cached'), 0) AS cached,
        sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cached_tokens) AS cached_tokens,
        sum(cost) AS cost, sum(saved_cost) AS saved, sum(seconds * calls) AS seconds
    FROM new JOIN models USING (id) GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
)
INSERT INTO breakers_aispend AS s (day, key, purpose, model, provider, requests, failed, rescued, cached,
    input_tokens, output_tokens, cached_tokens, cost, saved, seconds)
SELECT * FROM sums
ON CONFLICT (day, key, purpose, model, provider) DO UPDATE SET
    requests = s.requests + excluded.requests, failed = s.failed + excluded.failed, rescued = s.rescued + excluded.rescued,
    cached = s.cached + excluded.cached, input_tokens = s.input_tokens + excluded.input_tokens,
    output_tokens = s.output_tokens + excluded.output_tokens, cached_tokens = s.cached_tokens + excluded.cached_tokens,
    cost = s.cost + excluded.cost, saved = s.saved + excluded.saved, seconds = s.seconds + excluded.seconds
