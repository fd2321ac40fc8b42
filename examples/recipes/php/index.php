<?php
// SPDX-License-Identifier: Apache-2.0
// A small shop without a framework: shows when Versions.php bumps.
declare(strict_types=1);
require __DIR__ . '/Versions.php';

$db = new PDO('sqlite:' . $_SERVER['SHOP_DB'], options: [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
$db->exec('CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, name TEXT NOT NULL)');
$redis = new Redis();
$redis->connect($_SERVER['SHOP_REDIS'], 0, 1.0);
$versions = new Versions($db, $redis);

function run(PDO $db, string $sql, array $values = []): PDOStatement
{
    $statement = $db->prepare($sql);
    $statement->execute($values);
    return $statement;
}

function answer(mixed $data, int $status = 200): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    echo json_encode($data);
    exit;
}

$method = $_SERVER['REQUEST_METHOD'];
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$name = $_GET['name'] ?? '';

if (preg_match('#^/items/(\d+)$#', $path, $found)) {
    $id = (int) $found[1];
    if ($method === 'PUT') {
        run($db, 'UPDATE item SET name = ? WHERE id = ?', [$name, $id]);
        $versions->changed('shop.Item', "shop.Item:$id");
    } elseif ($method === 'DELETE') {
        run($db, 'DELETE FROM item WHERE id = ?', [$id]);
        $versions->changed('shop.Item', "shop.Item:$id");
        answer(null, 200);
    }
    $item = run($db, 'SELECT id, name FROM item WHERE id = ?', [$id])->fetch(PDO::FETCH_ASSOC);
    answer($item ?: null, $item ? 200 : 404);
}
if ($path === '/items' && $method === 'POST') {
    $id = $versions->transaction(function () use ($db, $versions, $name) {
        run($db, 'INSERT INTO item (name) VALUES (?)', [$name]);
        $id = (int) $db->lastInsertId();
        $versions->changed('shop.Item', "shop.Item:$id");
        return $id;
    });
    answer(['id' => $id], 201);
}
if ($path === '/items') {
    answer(run($db, 'SELECT id, name FROM item ORDER BY id')->fetchAll(PDO::FETCH_ASSOC));
}
if ($path === '/items/bulk') {
    $versions->transaction(function () use ($db, $versions, $name) {
        $ids = run($db, 'UPDATE item SET name = ? RETURNING id', [$name])->fetchAll(PDO::FETCH_COLUMN);
        $versions->changed('shop.Item', ...array_map(fn ($id) => "shop.Item:$id", $ids));
    });
    answer(null);
}
if ($path === '/items/rollback' || $path === '/items/savepoint') {
    try {
        $versions->transaction(function () use ($db, $versions, $name, $path) {
            run($db, 'UPDATE item SET name = ? WHERE id = 1', [$name]);
            $versions->changed('shop.Item', 'shop.Item:1');
            if ($path === '/items/rollback') {
                throw new DomainException('changed my mind');
            }
            try {
                $versions->transaction(function () use ($db, $versions) {
                    run($db, "UPDATE item SET name = 'lost' WHERE id = 2");
                    $versions->changed('shop.Item:2');
                    throw new DomainException('only the inner one');
                });
            } catch (DomainException) {
                // the outer transaction goes on
            }
        });
    } catch (DomainException) {
        // nothing was changed
    }
    answer(null);
}
if ($path === '/items/order') {
    $token = fn () => $redis->get('model_version:shop.Item');
    $seen = ['before' => $token()];
    $versions->transaction(function () use ($db, $versions, $name, $token, &$seen) {
        run($db, 'UPDATE item SET name = ? WHERE id = 1', [$name]);
        $versions->changed('shop.Item', 'shop.Item:1');
        $seen['inside'] = $token();
    });
    answer($seen + ['after' => $token()]);
}
answer(null, 404);
