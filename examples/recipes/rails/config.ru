# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

# A small shop on Active Record and Rack, without the rest of Rails: shows when versions.rb bumps.
require "active_record"
require "json"
require "redis"
require_relative "versions"

Versions.redis = Redis.new(path: ENV.fetch("SHOP_REDIS"), timeout: 1)
ActiveRecord::Base.establish_connection(adapter: "sqlite3", database: ENV.fetch("SHOP_DB"), pool: 10, timeout: 5000)
ActiveRecord::Schema.verbose = false
ActiveRecord::Schema.define do
  create_table(:categories) { |t| t.string :name; t.timestamps }
  create_table(:items) { |t| t.string :name; t.belongs_to :category; t.timestamps }
end

class ApplicationRecord < ActiveRecord::Base
  self.abstract_class = true
  include Versioned
end

class Category < ApplicationRecord
  has_many :items, dependent: :destroy
end

class Item < ApplicationRecord
  belongs_to :category, touch: true # a change of an item bumps its category, too
end

shown = ->(item) { item&.slice(:id, :name) }
ours = -> { Category.first_or_create!(name: "all") }

def savepoint(name)
  Item.transaction do
    Item.find(1).update!(name: name)
    Item.transaction(requires_new: true) do
      Item.find(2).update!(name: "lost")
      raise ActiveRecord::Rollback
    end
  end
end

def order(name)
  token = -> { Versions.redis.get("model_version:shop.Item") }
  seen = { before: token.call }
  Item.transaction do
    Item.find(1).update!(name: name)
    seen[:inside] = token.call
  end
  seen.merge(after: token.call)
end

def bulk(name)
  ids = Item.transaction do
    Item.update_all(name: name) # no callbacks
    Item.ids
  end
  Versions.bump("shop.Item", *ids.map { |id| "shop.Item:#{id}" }) # after the block: committed
end

handle = lambda do |method, path, name|
  case [method, path]
  in ["GET", "/items"] then Item.order(:id).map(&shown)
  in ["POST", "/items"] then { id: Item.create!(name: name, category: ours.call).id }
  in ["POST", "/items/bulk"] then bulk(name)
  in ["POST", "/items/rollback"]
    Item.transaction { Item.find(1).update!(name: name); raise ActiveRecord::Rollback }
  in ["POST", "/items/savepoint"] then savepoint(name)
  in ["POST", "/items/order"] then order(name)
  in ["GET", %r{\A/items/\d+\z}] then shown.call(Item.find_by(id: path[/\d+/])) || :absent
  in ["PUT", _] then Item.find(path[/\d+/]).update!(name: name)
  in ["DELETE", "/categories"] then Category.destroy_all && nil
  in ["DELETE", _] then Item.find(path[/\d+/]).destroy! && nil
  in ["GET", "/categories/1"] then Category.find_by(id: 1)&.slice(:id, :updated_at) || :absent
  else :absent
  end
end

use Rack::ETag, "max-age=0, private, must-revalidate" # as Rails does
run(lambda do |env|
  request = Rack::Request.new(env)
  data = ActiveRecord::Base.connection_pool.with_connection do
    handle.call(request.request_method, request.path, request.params["name"])
  end
  body = data == :absent ? "null" : JSON.generate(data)
  [data == :absent ? 404 : 200, { "content-type" => "application/json" }, [body]]
end)
