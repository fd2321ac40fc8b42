-- SPDX-License-Identifier: Apache-2.0
-- PostgreSQL: triggers that tell listener.py what changed. It hears of it after the commit, or never.
CREATE FUNCTION etag_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('etag_version', TG_ARGV[0]);
    RETURN NULL;
END $$;

CREATE FUNCTION etag_row_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify('etag_version', TG_ARGV[0] || ':' || OLD.id);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_notify('etag_version', TG_ARGV[0] || ':' || NEW.id);
    END IF;
    RETURN NULL;
END $$;

-- The kind, for lists: once for each statement. Each object, for its own page: leave it out where there is none.
CREATE TRIGGER etag_kind AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON item
    FOR EACH STATEMENT EXECUTE FUNCTION etag_changed('shop.Item');
CREATE TRIGGER etag_object AFTER INSERT OR UPDATE OR DELETE ON item
    FOR EACH ROW EXECUTE FUNCTION etag_row_changed('shop.Item');
