package main

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// podSecurity says, for what has a pod, by which rules each level of the Pod Security Standards forbids it.
func podSecurity(object runtime.Object) (map[api.Level][]string, error) {
	meta, spec := podOf(object)
	if spec == nil {
		return nil, nil
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return nil, err
	}
	forbidden := map[api.Level][]string{}
	for _, level := range []api.Level{api.LevelBaseline, api.LevelRestricted} {
		results := evaluator.EvaluatePod(api.LevelVersion{Level: level, Version: api.LatestVersion()}, meta, spec)
		forbidden[level] = append([]string{}, policy.AggregateCheckResults(results).ForbiddenReasons...)
	}
	return forbidden, nil
}

func podOf(object runtime.Object) (*metav1.ObjectMeta, *corev1.PodSpec) {
	switch one := object.(type) {
	case *corev1.Pod:
		return &one.ObjectMeta, &one.Spec
	case *appsv1.DaemonSet:
		return &one.Spec.Template.ObjectMeta, &one.Spec.Template.Spec
	case *appsv1.Deployment:
		return &one.Spec.Template.ObjectMeta, &one.Spec.Template.Spec
	}
	return nil, nil
}
