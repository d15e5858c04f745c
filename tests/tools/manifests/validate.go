package main

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	pods "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	networkingvalidation "k8s.io/kubernetes/pkg/apis/networking/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	policyvalidation "k8s.io/kubernetes/pkg/apis/policy/validation"
	"k8s.io/kubernetes/pkg/apis/rbac"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	rbacvalidation "k8s.io/kubernetes/pkg/apis/rbac/validation"
)

// validate fills in defaults and checks a document with the API server's own functions.
func validate(document []byte) error {
	object, _, err := legacyscheme.Codecs.UniversalDecoder().Decode(document, nil, nil)
	if err != nil {
		return err
	}
	return problems(object).ToAggregate()
}

func problems(object runtime.Object) field.ErrorList {
	switch one := object.(type) {
	case *apps.DaemonSet:
		return appsvalidation.ValidateDaemonSet(one, pods.GetValidationOptionsFromPodTemplate(&one.Spec.Template, nil))
	case *apps.Deployment:
		return appsvalidation.ValidateDeployment(one, pods.GetValidationOptionsFromPodTemplate(&one.Spec.Template, nil))
	case *core.Pod:
		return corevalidation.ValidatePodCreate(one, pods.GetValidationOptionsFromPodSpecAndMeta(&one.Spec, nil, &one.ObjectMeta, nil))
	case *core.Service:
		// As the server does before it looks at them.
		if one.Spec.ClusterIP != "" {
			one.Spec.ClusterIPs = []string{one.Spec.ClusterIP}
		}
		return corevalidation.ValidateServiceCreate(one)
	case *core.Secret:
		return corevalidation.ValidateSecret(one)
	case *core.ConfigMap:
		return corevalidation.ValidateConfigMap(one)
	case *core.ServiceAccount:
		return corevalidation.ValidateServiceAccount(one)
	case *networking.NetworkPolicy:
		return networkingvalidation.ValidateNetworkPolicy(one, networkingvalidation.NetworkPolicyValidationOptions{})
	case *policy.PodDisruptionBudget:
		return policyvalidation.ValidatePodDisruptionBudget(one, policyvalidation.PodDisruptionBudgetValidationOptions{})
	case *rbac.ClusterRole:
		return rbacvalidation.ValidateClusterRole(one, rbacvalidation.ClusterRoleValidationOptions{})
	case *rbac.ClusterRoleBinding:
		return rbacvalidation.ValidateClusterRoleBinding(one)
	case *rbac.Role:
		return rbacvalidation.ValidateRole(one)
	case *rbac.RoleBinding:
		return rbacvalidation.ValidateRoleBinding(one)
	}
	return field.ErrorList{field.InternalError(nil, fmt.Errorf("no validation for %T: add it to tests/tools/manifests", object))}
}
