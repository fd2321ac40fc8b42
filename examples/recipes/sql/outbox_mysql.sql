-- SPDX-License-Identifier: Apache-2.0
-- MySQL and MariaDB: triggers that write down what changed, in the same transaction. relay_mysql.py bumps it.
CREATE TABLE etag_outbox (
    id bigint unsigned AUTO_INCREMENT PRIMARY KEY, model varchar(200) NOT NULL
) ENGINE=InnoDB;

CREATE TRIGGER item_inserted AFTER INSERT ON item FOR EACH ROW
    INSERT INTO etag_outbox (model) VALUES ('shop.Item'), (CONCAT('shop.Item:', NEW.id));
CREATE TRIGGER item_updated AFTER UPDATE ON item FOR EACH ROW
    INSERT INTO etag_outbox (model) VALUES
        ('shop.Item'), (CONCAT('shop.Item:', OLD.id)), (CONCAT('shop.Item:', NEW.id));
CREATE TRIGGER item_deleted AFTER DELETE ON item FOR EACH ROW
    INSERT INTO etag_outbox (model) VALUES ('shop.Item'), (CONCAT('shop.Item:', OLD.id));
