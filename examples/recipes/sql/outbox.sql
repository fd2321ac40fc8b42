-- SPDX-License-Identifier: Apache-2.0
-- PostgreSQL: triggers that write down what changed, in the same transaction. relay.py bumps it.
CREATE TABLE etag_outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, model text NOT NULL);

CREATE FUNCTION etag_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO etag_outbox (model) VALUES (TG_ARGV[0]);
    NOTIFY etag_outbox;
    RETURN NULL;
END $$;

CREATE TRIGGER etag_kind AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON category
    FOR EACH STATEMENT EXECUTE FUNCTION etag_note('shop.Category');
