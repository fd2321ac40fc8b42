<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

/** Transactions of PDO that bump what they changed, once, after the outermost commit. */
final class Versions
{
    private array $changed = [];
    private int $depth = 0;

    public function __construct(private PDO $db, private Redis $redis)
    {
    }

    public function changed(string ...$models): void
    {
        $this->changed += array_fill_keys($models, true);
        if ($this->depth === 0) {
            $this->flush();                     // no transaction: it is committed already
        }
    }

    public function transaction(callable $work): mixed
    {
        $outer = $this->changed;
        $point = 'level' . $this->depth;
        $this->depth ? $this->db->exec("SAVEPOINT $point") : $this->db->beginTransaction();
        $this->depth++;
        try {
            $result = $work();
            $this->depth > 1 ? $this->db->exec("RELEASE SAVEPOINT $point") : $this->db->commit();
            $this->depth--;
        } catch (Throwable $error) {
            $this->depth--;
            $this->changed = $outer;            // of the outer transactions, nothing is forgotten
            $this->depth ? $this->db->exec("ROLLBACK TO SAVEPOINT $point") : $this->db->rollBack();
            throw $error;
        }
        if ($this->depth === 0) {
            $this->flush();
        }
        return $result;
    }

    private function flush(): void
    {
        $tokens = [];
        foreach (array_keys($this->changed) as $model) {
            $tokens["model_version:$model"] = bin2hex(random_bytes(16));
        }
        $this->changed = [];
        if ($tokens && !$this->redis->mSet($tokens)) {
            throw new RuntimeException('not bumped: ' . implode(' ', array_keys($tokens)));
        }
    }
}
