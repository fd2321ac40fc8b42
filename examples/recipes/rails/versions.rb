# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

require "active_support/concern"
require "securerandom"

# `include Versioned` in ApplicationRecord, or in each model that is shown.
module Versioned
  extend ActiveSupport::Concern

  included do
    after_commit { Versions.bump(*version_names) } # create, update, touch and destroy
  end

  # Its kind, for lists, and itself. base_class: the models of one table count as one.
  def version_names
    kind = "shop.#{self.class.base_class.name}"
    [kind, "#{kind}:#{id}"]
  end
end

module Versions
  class << self
    attr_accessor :redis

    # At once: inside a transaction this is too early.
    def bump(*models)
      redis.mset(*models.uniq.flat_map { |model| ["model_version:#{model}", SecureRandom.uuid] }) if models.any?
    end
  end
end
