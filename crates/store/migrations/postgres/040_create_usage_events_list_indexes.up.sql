-- Lists of requests that were refused or have failed, of all users and of one, and of requests for a model. The list of requests
-- has the same condition in its queries.
CREATE INDEX usage_events_unsuccessful ON usage_events (id)
    WHERE status >= 400 OR refusal IS NOT NULL OR outcome <> 'completed';
CREATE INDEX usage_events_unsuccessful_user ON usage_events (user_no, started_at, id)
    WHERE status >= 400 OR refusal IS NOT NULL OR outcome <> 'completed';
CREATE INDEX usage_events_model ON usage_events (model_no, id) WHERE model_no IS NOT NULL;
